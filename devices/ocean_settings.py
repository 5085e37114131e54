"""The spectrometer's table of bench.toml."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nanolab.quantities import Quantity, quantity_reader


def _seconds(high: float, *, zero: bool = False) -> BeforeValidator:
    return BeforeValidator(quantity_reader("s", low=0.0, high=high, exclusive_low=not zero))


Integration = Annotated[Quantity, _seconds(1600.0)]
Settling = Annotated[Quantity, _seconds(600.0, zero=True)]
Deadline = Annotated[Quantity, _seconds(60.0)]
Lamp = Literal["strobe", "always on"]


class OceanSettings(BaseModel):
    """Settings of an Ocean Insight spectrometer."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    model: str = Field(default="FlameX", description="model, spelled as seabreeze spells it (for TCP addresses)")
    serial: str | None = Field(default=None, description="serial number; connecting to another instrument is an error")
    integration_time: Integration = Field(default=Quantity(0.02, "s"), description="of one exposure")
    averages: int = Field(default=1, ge=1, le=10000, description="exposures averaged into one spectrum")
    discard_after_change: int = Field(
        default=1,
        ge=0,
        le=20,
        description="spectra thrown away after a change of integration time or lamp: they may still be old ones",
    )
    lamp: Lamp = Field(
        default="strobe", description='"strobe": the strobe output switches it; "always on": a person does'
    )
    lamp_settle: Settling = Field(
        default=Quantity(0.2, "s"), description="waited after switching the lamp, on a real-time clock only"
    )
    check_light: bool = Field(
        default=True,
        description="see in the counts that lamp and integration time did change (nothing can be read back)",
    )
    check_exposure: bool = Field(
        default=True,
        description="call a spectrum invalid that comes sooner than its integration time (real-time clock only)",
    )
    saturation_fraction: float = Field(
        default=0.98, gt=0.0, le=1.0, description="share of full scale from which a pixel counts as saturated"
    )
    stray_light: float = Field(
        default=0.0,
        ge=0.0,
        lt=0.1,
        description="share of all light that spreads evenly over the pixels, as seen behind a long-pass filter; taken out of "
        "every absorbance; 0: not corrected",
    )
    backend: Literal["cseabreeze", "pyseabreeze"] = Field(
        default="cseabreeze", description="which of seabreeze's two libraries"
    )
    deadline: Deadline = Field(
        default=Quantity(5.0, "s"), description="longest wait for an answer beyond the exposures themselves, wall time"
    )
