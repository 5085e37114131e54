"""What the SCPI drivers share: a VISA link with the SCPI layer on it, and the identity by `*IDN?`."""

import re
from typing import Any

from devices.linked import IDENTITY, LinkedInstrument
from devices.scpi import Scpi
from devices.transport import Transport
from devices.visa import VisaTransport, load_backend
from nanolab.interfaces import DeviceContext

_IDENTITY = re.compile(r"[\w ,./()&+:-]+", re.ASCII)


class ScpiInstrument(LinkedInstrument):
    """An ophyd device over one SCPI link. No I/O before `connect`."""

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self._scpi = Scpi(self._link, context.name)

    def connect(self) -> None:
        """Open the link, read the identity and check it against the bench file; DeviceError, nothing left open."""
        load_backend(self.context.address)
        super().connect()

    def _make_transport(self) -> Transport:
        return VisaTransport(self.context.address)

    def _first_look(self) -> None:
        self._identity = self._read_identity()
        self._scpi.ask("*CLS")
        self._configure()

    def _read_identity(self) -> dict[str, str]:
        reply = self._scpi.ask_alone("*IDN?")
        parts = [part.strip() for part in reply.split(",")]
        if len(parts) < 4 or not _IDENTITY.fullmatch(reply):
            raise self._scpi.garbled("*IDN?", reply, "maker, model, serial and firmware are wanted")
        return self._checked_identity(dict(zip(IDENTITY, [*parts[:3], ",".join(parts[3:])], strict=True)))
