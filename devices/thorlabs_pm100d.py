"""Thorlabs PM100D and PM100USB power meters (pyvisa, SCPI).

What the meter reads is the power where its head is (`position`), not necessarily the power at the sample:
``to_sample_plane`` is the measured ratio between the two.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from ophyd import Component, Kind
from pydantic import Field

from devices.instrument import ScpiInstrument
from devices.linked import LinkSettings, quantity
from devices.signals import Reading
from devices.status import Status
from nanolab.errors import DeviceError
from nanolab.interfaces import DeviceContext
from nanolab.quantities import Quantity

SECONDS_PER_AVERAGE = 1e-3
"""Conservative time of one averaged conversion."""

QUIET_AFTER_SILENCE_S = 10.0
"""The meter's own measurement time-out; its maker warns that speaking to it earlier crashes its communication."""

ZEROING = 1
"""What SENS:CORR:COLL:ZERO:STAT? says while a zero is being taken."""


class ThorlabsPM100DSettings(LinkSettings):
    """The power meter's table of bench.toml; quantities as text with units."""

    position: Literal["sample_plane", "behind_cuvette", "pickoff"]
    """Where the head is."""
    wavelength: Annotated[Quantity, quantity("nm", 150.0, 12000.0)]
    """Wavelength that the meter corrects for, nm."""
    to_sample_plane: Annotated[Quantity, quantity("1", 0.0, above=True)] = Quantity(1.0, "1")
    """Power at the sample plane divided by what the meter reads."""
    averaging: int = Field(100, ge=1, le=10000)
    """Conversions averaged for one reading."""
    gain_uncertainty: Annotated[Quantity, quantity("1", 0.0, 0.5)] = Quantity(0.03, "1")
    """Relative standard uncertainty of the head's calibration; for the analysis."""


class ThorlabsPM100D(ScpiInstrument):
    """Optical power meter. Keeps `nanolab.interfaces.PowerMeter`."""

    power = Component(Reading, value=math.nan, units="W", kind=Kind.hinted)
    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)
    wavelength = Component(Reading, value=math.nan, units="nm", kind=Kind.config)
    averaging = Component(Reading, value=0, kind=Kind.config)
    head_position = Component(Reading, value="", kind=Kind.config)
    sample_plane_ratio = Component(Reading, value=math.nan, kind=Kind.config)
    zero_magnitude = Component(Reading, value=math.nan, kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = ThorlabsPM100DSettings
    models = ("PM100D", "PM100USB")

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self.position: str = self.settings.position
        self.to_sample_plane: float = self.settings.to_sample_plane.value
        self._read_deadline_s = self.settings.deadline.value + self.settings.averaging * SECONDS_PER_AVERAGE
        self._zeroing = False
        self._before: tuple[float, int] | None = None
        self._configured = False

    def stage(self) -> list[Any]:
        """Remember the meter's settings and write ours, read back."""
        staged: list[Any] = super().stage()
        try:
            self._link.call(self._save_and_set_up)
        except DeviceError:
            super().unstage()
            raise
        return staged

    def unstage(self) -> list[Any]:
        """Give the meter back its wavelength and averaging."""
        unstaged: list[Any] = super().unstage()
        self._give_back(self._restore)
        return unstaged

    def zero(self) -> Status:
        """Start a dark zero; the beam must be off or blocked. Done when the meter has accepted it.

        The zero itself takes seconds of lab time: meanwhile readings are invalid with the reason ``zeroing``.
        """
        return self._link.submit(self._start_zero)

    # ---- in the worker

    def _configure(self) -> None:
        self._configured = False
        now = {"head_position": self.position, "sample_plane_ratio": self.to_sample_plane}
        self._update(now)

    def _save_and_set_up(self) -> None:
        wavelength, count = self._scpi.ask("SENS:CORR:WAV?", "SENS:AVER:COUN?")
        self._before = (
            self._scpi.number(wavelength, "SENS:CORR:WAV?"),
            int(self._scpi.number(count, "SENS:AVER:COUN?")),
        )
        self._set_up()

    def _set_up(self) -> None:
        settings = self.settings
        nm, count = settings.wavelength.value, settings.averaging
        (back,) = self._scpi.ask(f"SENS:CORR:WAV {nm:.6g}", "SENS:CORR:WAV?")
        # newer firmware takes whole nanometres; a head coerces what it cannot do to its own range
        if abs(self._scpi.number(back, "SENS:CORR:WAV?") - nm) > 0.51:
            raise self._not_taken("SENS:CORR:WAV", f"{nm:g} nm", back)
        averages, unit, auto = self._scpi.ask(
            f"SENS:AVER:COUN {count}", "SENS:POW:UNIT W", "SENS:POW:RANG:AUTO 1",
            "SENS:AVER:COUN?", "SENS:POW:UNIT?", "SENS:POW:RANG:AUTO?",
        )  # fmt: skip
        if self._scpi.number(averages, "SENS:AVER:COUN?") != count:
            raise self._not_taken("SENS:AVER:COUN", str(count), averages)
        if unit.strip() != "W":
            raise self._not_taken("SENS:POW:UNIT", "W", unit)
        if not self._scpi.switch(auto, "SENS:POW:RANG:AUTO?"):
            raise self._not_taken("SENS:POW:RANG:AUTO", "1", auto)
        self._update({"wavelength": float(back), "averaging": count})
        self._configured = True

    def _not_taken(self, header: str, wanted: str, received: str) -> DeviceError:
        return DeviceError(
            self.name,
            f"did not take {header} {wanted}",
            received=received,
            remedy="Check that the head is connected and made for this wavelength.",
        )

    def _restore(self) -> None:
        if self._before is not None:
            wavelength, count = self._before
            self._before = None
            self._configured = False
            self._scpi.ask(f"SENS:CORR:WAV {wavelength:.6g}", f"SENS:AVER:COUN {count}")

    def _start_zero(self) -> None:
        self._zeroing = True
        self._scpi.ask("SENS:CORR:COLL:ZERO:INIT")

    def _still_zeroing(self) -> bool:
        state, magnitude = self._scpi.ask("SENS:CORR:COLL:ZERO:STAT?", "SENS:CORR:COLL:ZERO:MAGN?")
        self._zeroing = self._scpi.word(state, "SENS:CORR:COLL:ZERO:STAT?") == ZEROING
        if not self._zeroing:
            self._update({"zero_magnitude": self._scpi.measured(magnitude, "SENS:CORR:COLL:ZERO:MAGN?")})
        return self._zeroing

    def _measure(self) -> None:
        if not self._configured:
            self._set_up()
        if self._zeroing and self._still_zeroing():
            self._update({"power": math.nan, "valid": 0, "reason": "zeroing"})
            return
        (field,) = self._scpi.ask("MEAS:POW?", deadline_s=self._read_deadline_s, quiet_s=QUIET_AFTER_SILENCE_S)
        power = self._scpi.measured(field, "MEAS:POW?")
        reason = "" if math.isfinite(power) else "over range"
        self._update({"power": power, "valid": int(not reason), "reason": reason})

    def _audit(self) -> None:
        super()._audit()
        if self._configured:
            (back,) = self._scpi.ask("SENS:CORR:WAV?")
            if abs(self._scpi.number(back, "SENS:CORR:WAV?") - self.settings.wavelength.value) > 0.51:
                raise self._not_taken("SENS:CORR:WAV", f"{self.settings.wavelength.value:g} nm", back)

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def head() -> str:
            (sensor,) = self._scpi.ask("SYST:SENS:IDN?")
            if "no sensor" in sensor.lower():
                raise DeviceError(self.name, "no head is connected", sent="SYST:SENS:IDN?", received=sensor)
            return sensor.replace('"', "")

        def reading() -> str:
            self._measure()
            if not self.valid.get():
                raise DeviceError(self.name, f"no valid reading: {self.reason.get()}")
            return f"{self.power.get():.4g} W at {self.wavelength.get():g} nm, {self.position}"

        return (
            ("head", head, "Connect a head."),
            ("reading", reading, "Look at the meter's display."),
        )
