"""Settings of instruments on a serial line that tell no serial number."""

from pydantic import field_validator

from devices.linked import LinkSettings


class UnnumberedSettings(LinkSettings):
    """As `LinkSettings`, for an instrument that cannot be told from its twin."""

    serial: str | None = None
    """This instrument tells no serial number: leave the key out."""

    @field_validator("serial")
    @classmethod
    def _no_serial(cls, serial: str | None) -> str | None:
        if serial is not None:
            raise ValueError("this instrument tells no serial number: leave the key out, and mind the address")
        return serial
