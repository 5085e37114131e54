"""Turnkey lasers that regulate their own power: what Cobolt and OBIS heads share.

The value is the power at the sample plane; what is set at the head is power / transmission. The transmission from head to
sample plane is measured with a power meter in place of the sample, and dated; it takes in the error of the head's own
photodiode. Off is believed only where the emission flag, the measured power *and* the diode current say so (right after a
start the measured power still lags).

Such a head needs seconds (the delay that laser regulations ask for) or minutes (warm-up) before it emits. `set` is then
done as soon as the head says that its start is under way; ``<role>_starting`` reads 1 until light comes out.
"""

import datetime
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from ophyd import Component, Kind

from devices.laser import LaserInstrument
from devices.link import GaveWayError, Link
from devices.linked import LinkSettings, quantity
from devices.signals import Reading
from devices.status import Status
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.quantities import Quantity

_log = logging.getLogger(__name__)

OFF_CONFIRMED_WITHIN_S = 2.0
"""Wall time in which flag, measured power and current must say off: the measured power may lag by a second (UNSURE)."""

SETTLED_S = 3.0
"""Lab time after light has come, or its power was changed, from which the measured power must agree with the set one."""

LOOK_UP_EVERY_S = 0.005
"""Wall time between two looks, while resting, whether a command to go off has come in."""

WAVELENGTH_WITHIN_NM = 15.0
"""The head's own wavelength may differ by this from that of the bench file: its nominal figure is rounded."""


class LaserHeadSettings(LinkSettings):
    """The laser's table of bench.toml; quantities as text with units."""

    wavelength: Annotated[Quantity, quantity("nm", 150.0, 12000.0)]
    """Emission wavelength, nm; compared with what the head says."""
    max_power: Annotated[Quantity, quantity("W", 0.0, above=True)]
    """Largest optical power at the sample plane, W."""
    transmission: Annotated[Quantity, quantity("1", 0.0, 1.5, above=True)]
    """Power at the sample plane over the power that the head reports; measured with a power meter."""
    calibration_date: datetime.date | None = None
    """When the transmission was measured."""
    dark_power: Annotated[Quantity, quantity("W", 0.0, above=True)] = Quantity(1e-3, "W")
    """Measured power at the head, W, up to which nothing is emitted: just above what it reads with its beam off."""
    dark_current: Annotated[Quantity, quantity("A", 0.0, above=True)] = Quantity(0.02, "A")
    """Diode current, A, up to which nothing is emitted: above what flows with its beam off, below the threshold."""
    power_tolerance: Annotated[Quantity, quantity("1", 0.0, 1.0, above=True)] = Quantity(0.1, "1")
    """Share by which the measured power may differ from the set one before the reading counts as invalid."""
    start_within: Annotated[Quantity, quantity("s", 0.0, 3600.0)] = Quantity(180.0, "s")
    """Lab time that a start (delay, warm-up, key) may take before the reading counts as invalid."""
    pause: Annotated[Quantity, quantity("s", 0.0, 2.0)] = Quantity(0.0, "s")
    """Least wall time between a reply and the next command; off is sent without it. Idle off the wall clock."""

    def head_power_w(self, power_w: float) -> float:
        """Return the power at the head, W, that gives `power_w` at the sample plane."""
        return power_w / self.transmission.value


class Pace:
    """Keeps a pause of wall time between a reply and the next command. In the link's worker.

    Parameters
    ----------
    link : Link
        Whose worker rests.
    pause_s : float
        The pause, s.
    ticket : callable
        A number that changes when a command to go off comes in: the next pause, or the present one, is then left out.
    """

    def __init__(self, link: Link, pause_s: float, ticket: Callable[[], int]) -> None:
        self._link = link
        self._pause_s = pause_s
        self._ticket = ticket
        self._quiet_since = -math.inf
        self._seen = ticket()

    def rest(self) -> None:
        """Wait until the next command may be sent."""
        until = self._quiet_since + self._pause_s
        while (left := until - time.monotonic()) > 0.0 and self._ticket() == self._seen:
            self._link.rest(min(left, LOOK_UP_EVERY_S))
        self.skip()

    def skip(self) -> None:
        """Do not wait: this is the command to go off itself."""
        self._seen = self._ticket()

    def replied(self) -> None:
        """Note that a reply has come, or will not come any more."""
        self._quiet_since = time.monotonic()


@dataclass(frozen=True)
class HeadLook:
    """What a head reports at one moment. Keeps `devices.laser.LaserLook`.

    Parameters
    ----------
    on : bool
        Its emission flag.
    under_way : bool
        It does not emit yet and will do so by itself (a delay, a warm-up, a key that is waited for).
    head_power_w, current_a, temperature_c : float
        Measured power at the head W, diode current A, diode temperature degC; NaN where unreadable.
    trouble : str
        What keeps it from emitting, in words; empty where nothing does.
    waits_for : str
        What a start that is under way waits for, in words.
    dark_power_w, dark_current_a : float
        Measured power W and diode current A up to which nothing is emitted.
    """

    on: bool
    under_way: bool
    head_power_w: float
    current_a: float
    temperature_c: float
    trouble: str
    waits_for: str
    dark_power_w: float
    dark_current_a: float

    @property
    def emitting(self) -> bool:
        """True where flag, measured power or current say that it emits; an unreadable number says nothing."""
        return self.on or self.head_power_w > self.dark_power_w or self.current_a > self.dark_current_a

    @property
    def dark(self) -> bool:
        """True where flag, measured power and current say off, and no start is under way."""
        readable = math.isfinite(self.head_power_w) and math.isfinite(self.current_a)
        return readable and not self.emitting and not self.under_way

    def says(self) -> str:
        """Return the read-backs that matter for off, in words."""
        pending = f", a start is under way ({self.waits_for})" if self.under_way else ""
        measured = f"{self.head_power_w * 1e3:.2f} mW at the head, diode current {self.current_a * 1e3:.1f} mA"
        return f"emission {'on' if self.on else 'off'}, {measured}{pending}"


class LaserHead(LaserInstrument):
    """A turnkey laser. Keeps `nanolab.interfaces.Laser`. Subclasses make the ``_wire``."""

    measured_power = Component(Reading, value=math.nan, units="W", kind=Kind.normal, instead="set the laser's power")
    starting = Component(Reading, value=0, kind=Kind.normal)
    transmission = Component(Reading, value=math.nan, kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = LaserHeadSettings
    _drain_s = 0.1
    _least_head_w = 0.0

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        settings = self.settings
        # where lab time is not wall time nothing at the other end needs rest, and each one would cost minutes of a run
        pause_s = settings.pause.value if context.wall_clock else 0.0
        self._pace = Pace(self._link, pause_s, lambda: self._ticket)
        self._look_every_s = max(self._look_every_s, pause_s)
        self._light_since: float | None = None
        self.found_emitting = ""
        """What was said when it was found emitting, or about to, on connecting; empty where it was off."""

    def check_value(self, power_w: float) -> None:
        """Raise RefusedError where this power in W is outside the limits, too small for the head, or no number."""
        super().check_value(power_w)
        least = self._least_head_w * self.settings.transmission.value
        if 0.0 < power_w < least:
            raise RefusedError(
                f"{self.name}: {power_w:g} W is refused: the head gives {least:.3g} W at the sample plane at least; "
                "put a filter into the beam and measure the transmission anew"
            )

    def trigger(self) -> Status:
        """Take one reading. A command to go off does not wait for its exchanges: it is then taken anew after that."""
        whole = Status()

        def done(second: Status) -> None:
            whole.finish(second.exception())

        def taken(first: Status) -> None:
            error = first.exception()
            if not isinstance(error, GaveWayError):
                whole.finish(error)
                return
            try:
                second = self._link.submit(self._measure_and_judge)
            except DeviceError as closed:
                whole.finish(closed)
            else:
                second.add_callback(done)

        self._link.submit(self._measure_and_judge, gives_way=True).add_callback(taken)
        return whole

    @property
    def _off_confirmed_within_s(self) -> float:
        return OFF_CONFIRMED_WITHIN_S

    def _way_by_hand(self) -> str:
        name = f"{self._identity.get('maker', '')} laser".strip()
        return f"Turn the key of the {name} to off, open its interlock or cut its mains"

    # ---- reading (in the worker)

    def _more(self, look: HeadLook) -> dict[str, Any]:
        if not look.emitting:
            self._light_since = None
        elif self._light_since is None:
            self._light_since = self.context.lab_time()
        return {
            "measured_power": look.head_power_w * self.settings.transmission.value,
            "starting": int(self._starting(look)),
        }

    def _starting(self, look: HeadLook) -> bool:
        waited = self.context.lab_time() - self._commanded_at
        wanted = self._commanded_w > 0.0 and look.under_way and not (look.emitting or look.trouble)
        return wanted and waited <= self.settings.start_within.value

    def _doubt(self, look: HeadLook) -> str:
        wanted = self._commanded_w
        if not math.isfinite(look.head_power_w):
            return "the power at the head cannot be read"
        if wanted == 0.0:
            return f"emits though it is told to be off ({look.says()})" if look.emitting else ""
        if look.trouble:
            return look.trouble
        if not look.emitting:
            if self._starting(look):
                return ""
            waiting = f" and waits: {look.waits_for}" if look.under_way else ""
            return f"it does not emit{waiting}, though {wanted:g} W is set"
        return self._power_doubt(look.head_power_w * self.settings.transmission.value, wanted)

    def _power_doubt(self, measured_w: float, wanted_w: float) -> str:
        since = max(self._commanded_at, self._light_since if self._light_since is not None else math.inf)
        settled = self.context.lab_time() - since > SETTLED_S
        if settled and abs(measured_w - wanted_w) > self.settings.power_tolerance.value * wanted_w:
            return f"the head reports {measured_w:.4g} W at the sample plane, {wanted_w:.4g} W is set"
        return ""

    # ---- connecting (in the worker)

    def _check_head(self, wavelength_nm: float, least_w: float, most_w: float) -> None:
        """Compare what the head says of itself with the bench file; DeviceError where they do not fit."""
        settings = self.settings
        if not abs(wavelength_nm - settings.wavelength.value) <= WAVELENGTH_WITHIN_NM:
            raise DeviceError(
                self.name,
                f"the head emits at {wavelength_nm:g} nm, and bench.toml says {settings.wavelength}",
                remedy="Correct the wavelength or the address in bench.toml.",
            )
        needed = settings.head_power_w(settings.max_power.value)
        if not needed <= most_w * (1 + 1e-9):
            raise DeviceError(
                self.name,
                f"max_power {settings.max_power} needs {needed:.4g} W at the head by its transmission, and the head "
                f"gives {most_w:.4g} W",
                remedy="Lower max_power in bench.toml.",
            )
        self._least_head_w = least_w

    def _meet(self, by_itself: bool) -> None:
        """Go off where the head emits, is about to, or may start by itself; say so where it was not dark."""
        look = self._wire.look()
        self.found_emitting = ""
        if look.dark and not by_itself:
            self._note(look)
            return
        self._off_or_raise()
        if not look.dark:
            self.found_emitting = (
                f"it was found {'emitting' if look.emitting else 'starting by itself'} on connecting ({look.says()}) "
                "and was turned off"
            )
            _log.warning("%s: %s; keep its beam blocked whenever its mains come back", self.name, self.found_emitting)
