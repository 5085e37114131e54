"""A diode laser with a knob (CNI, BWT and the like), let out or not by the dead-man box or a relay (pyserial).

The laser has no line of its own. Its power is what the knob gives, measured by hand at the sample plane and written into
bench.toml with its uncertainty and date; software can let it out or not, and nothing else. `set` therefore takes 0 and
that power, and refuses all others.

What the read-back proves. Off is confirmed when the box (or the relay) reads its contact back as open. That is the
contact, not the light: a laser that ignores its interlock or TTL input, a bridged connector, a welded contact whose second
pole does not follow would go unnoticed. Only a power meter or a photodiode sees light. The diode current is not measured: NaN.

No safety function in the sense of a standard: the laser's own hardware interlock is.
"""

import datetime
import logging
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from ophyd import Component, Kind
from pydantic import BeforeValidator, Field, model_validator

from devices.deadman_wire import BoxSettings
from devices.gate import BoxGate, Gate, RelayGate, RelaySettings, gate_transport
from devices.guarded import GuardedInstrument, Seen
from devices.linked import LinkSettings, quantity
from devices.signals import Reading
from devices.status import Status
from devices.transport import Transport
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext, OffReport
from nanolab.quantities import Quantity

PROVES = "this is about the contact, not the light"

_log = logging.getLogger(__name__)


def _with_uncertainty(value: Quantity) -> Quantity:
    if value.standard_uncertainty is None:
        raise ValueError(f'the power {value} needs the uncertainty of its measurement, for example "0.65±0.02 W"')
    return value


class GatedLaserSettings(BoxSettings):
    """The laser's table of bench.toml; quantities as text with units."""

    wavelength: Annotated[Quantity, quantity("nm", 150.0, 12000.0)]
    """Emission wavelength, nm."""
    power: Annotated[Quantity, BeforeValidator(_with_uncertainty), quantity("W", 0.0, above=True)]
    """Optical power at the sample plane at this position of the knob, W, with its standard uncertainty."""
    calibration_date: datetime.date
    """When that power was measured."""
    knob: str = Field("", max_length=80)
    """Where the knob stood then (position, or current on the supply's display); for people, and for the record."""
    recalibrate_after: Annotated[Quantity, quantity("day", 0.0, above=True)] = Quantity(90.0, "day")
    """Age of the calibration beyond which there is a caution, days."""
    tolerance: Annotated[Quantity, quantity("1", 0.0, 0.2)] = Quantity(0.01, "1")
    """Powers within this share of `power` are taken for it."""
    gate: Literal["box", "relay"] = "box"
    """What lets the laser out: the dead-man box, or a plain relay, which stays closed when this computer dies."""
    relay: RelaySettings | None = None
    """How the relay board is spoken to."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.calibration_date > today():
            raise ValueError(f"calibration_date {self.calibration_date} lies in the future")
        if (self.gate == "relay") != (self.relay is not None):
            raise ValueError('gate = "relay" and a [laser.relay] table belong together')
        return self

    def caution(self, now: datetime.date) -> str:
        """Return a sentence where the calibration is older than `recalibrate_after`, else nothing."""
        age = (now - self.calibration_date).days
        if age <= self.recalibrate_after.value:
            return ""
        return (
            f"the power {self.power} was measured {age} days ago ({self.calibration_date}), more than "
            f"{self.recalibrate_after.value:g}: measure it again at the sample plane"
        )


def today() -> datetime.date:
    """Return today's date where this computer is."""
    return datetime.date.today()


class GatedLaser(GuardedInstrument):
    """A laser of one power, let out by a contact. Keeps `nanolab.interfaces.Laser`.

    ``powers_w`` holds that one power in W; ``measures_current`` is False.
    """

    power = Component(Reading, value=math.nan, units="W", kind=Kind.hinted, instead="move the laser itself")
    emitting = Component(Reading, value=0, kind=Kind.normal, instead="set the laser's power, or call off()")
    current = Component(Reading, value=math.nan, units="A", kind=Kind.normal, instead="turn the knob by hand")
    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)

    wavelength = Component(Reading, value=math.nan, units="nm", kind=Kind.config)
    max_power = Component(Reading, value=math.nan, units="W", kind=Kind.config)
    power_uncertainty = Component(Reading, value=math.nan, units="W", kind=Kind.config)
    calibration_date = Component(Reading, value="", kind=Kind.config)
    knob = Component(Reading, value="", kind=Kind.config)
    gate = Component(Reading, value="", kind=Kind.config)
    caution = Component(Reading, value="", kind=Kind.config)
    serial = Component(Reading, value="", kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = GatedLaserSettings
    models = ("DEADMAN-BOX", "RELAY")
    measures_current = False

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        settings: GatedLaserSettings = self.settings
        self.wavelength_nm: float = settings.wavelength.value
        self._power_w: float = settings.power.value
        self._power_let_through_w = self._power_w
        self.powers_w: tuple[float, ...] = (self._power_w,)
        self.max_power_w: float = self._power_w * (1.0 + settings.tolerance.value)
        relay = settings.relay
        self._gate: Gate = (
            BoxGate(self._link, context.name) if relay is None else RelayGate(self._link, context.name, relay)
        )
        self.safe_message = self._gate.off_line

    # ---- nanolab.interfaces.Laser

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest power in W; between them only 0 and the calibrated power are taken."""
        return (0.0, self.max_power_w)

    def check_value(self, power_w: float) -> None:
        """Raise RefusedError where this power in W is neither 0 nor, within the tolerance, the calibrated one."""
        if isinstance(power_w, bool) or not isinstance(power_w, int | float):
            raise RefusedError(f"{self.name}: {power_w!r} is no power in W")
        lowest = self._power_w * (1.0 - self.settings.tolerance.value)
        if power_w != 0.0 and not lowest <= power_w <= self.max_power_w:
            settings = self.settings
            raise RefusedError(
                f"{self.name}: {power_w:g} W is refused: its knob gives {settings.power} (measured "
                f"{settings.calibration_date}), and software can only let that out or not; for another power turn the "
                "knob, measure at the sample plane, and write power and calibration_date into the bench file"
            )

    def set(self, power_w: float) -> Status:
        """Let the calibrated power out, or go off and verify it (0). Done when the contact's read-back agrees.

        RefusedError before the first byte where the power is another one, the laser is held back (`pause`, `off`) or
        permission is missing. The status fails with RefusedError where the box refuses (no toggles, door open, FAULT),
        with DeviceError where the contact misbehaves (it is then opened), with OffNotConfirmedError where it was not seen open.
        """
        self.check_value(power_w)
        return self._move(power_w != 0.0)

    def off(self) -> OffReport:
        """Open the contact at once and read it back. Never raises; nothing is let out again until armed.

        What a confirmed report proves is the contact, not the light; its detail says so.
        """
        return self._hold()

    # ---- in the worker

    def _make_transport(self) -> Transport:
        return gate_transport(self.context.address, self.settings.boot.value, self.settings.relay)

    def _read_identity(self) -> dict[str, str]:
        return self._checked_identity(self._gate.identity())

    def _configure(self) -> None:
        settings: GatedLaserSettings = self.settings
        caution = settings.caution(today())
        if caution:
            _log.warning("%s: %s", self.name, caution)
        self._update(
            {
                "wavelength": self.wavelength_nm, "max_power": self.max_power_w,
                "power_uncertainty": settings.power.standard_uncertainty,
                "calibration_date": settings.calibration_date.isoformat(),
                "knob": settings.knob, "gate": settings.gate, "caution": caution, "serial": self._identity["serial"],
            }
        )  # fmt: skip

    def _look(self) -> Seen:
        return self._about_the_contact(self._gate.look())

    def _tell_safe(self) -> Seen:
        return self._about_the_contact(self._gate.tell_open())

    def _switch_on(self) -> Seen:
        return self._about_the_contact(self._gate.close())

    @staticmethod
    def _about_the_contact(seen: Seen) -> Seen:
        return Seen(seen.safe, f"{seen.says}; {PROVES}", seen)

    def _refuse_unless_ready(self) -> None:
        problem = self._gate.refusal()
        if problem:
            raise RefusedError(f"{self.name}: the dead-man box cannot be closed: {problem}")

    def _by_hand(self) -> str:
        return self._gate.by_hand

    def _note(self, seen: Seen) -> None:
        reason = self._gate.doubt(seen.raw, self._wanted)
        emitting = not seen.safe
        power = (math.nan if reason else self._power_w) if emitting else 0.0
        self._update(
            {
                "power": power, "emitting": int(emitting), "current": math.nan, "valid": int(not reason),
                "reason": reason,
            }
        )  # fmt: skip

    def _noted_off(self, report: OffReport) -> OffReport:
        words = "" if report.confirmed else report.words()
        power = 0.0 if report.confirmed else math.nan
        self._update(
            {
                "power": power, "emitting": int(not report.confirmed), "current": math.nan,
                "valid": int(report.confirmed), "reason": words,
            }
        )  # fmt: skip
        return report

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def calibration() -> str:
            caution = self.settings.caution(today())
            if caution:
                raise DeviceError(self.name, caution)
            return f"{self.settings.power}, measured {self.settings.calibration_date}"

        remedy = "Measure the power at the sample plane and write it into the bench file with its date."
        return (*self._gate.health(), ("calibration of the power", calibration, remedy))
