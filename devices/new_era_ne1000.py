"""New Era NE-1000 syringe pump (also NE-500, NE-1600, NE-4000, WPI Aladdin) over a serial line.

The value of the pump is the volume infused since it was connected, in mL, by the pump's own counter (never the volume
that was asked for). `set` and `dispense` write a finite volume, arm the pump's watchdog, start, and are done when the
pump is seen to run; a plan polls for the volume (`plans.dispensing`). While it pumps, whoever stops reading stops the pump:
the watchdog is inside it, and nothing here keeps it quiet but readings.

Checked before the first byte: rate, what the syringe still holds, the room in the cuvette. Never sent: a volume of 0,
which the pump takes for "without end".
"""

import contextlib
import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ophyd import Component, Kind

from devices.linked import LinkedInstrument, LinkSettings
from devices.new_era_dose import SMALLEST_ML, Dose, Order
from devices.new_era_frames import NewEraTransport
from devices.new_era_settings import NewEraNE1000Settings
from devices.new_era_wire import STATES, Answer, NewEraWire, alarm_words, number, rate_text, volume_text
from devices.serial_line import SerialLine
from devices.signals import Reading
from devices.status import Status
from devices.transport import Transport
from nanolab.errors import DeviceError, NanolabError, RefusedError
from nanolab.interfaces import DeviceContext

STOPS_TRIED = 4
"""STP pauses first and stops then; an alarm takes the place of one of them."""
BY_HAND = "Press stop on the pump, or take its power away."

_VERSION = re.compile(r"([A-Z]+\d+[A-Z0-9]*?)V(\d+\.\w+)", re.ASCII)
_log = logging.getLogger(__name__)


class NewEraNE1000(LinkedInstrument):
    """Syringe pump. Keeps `nanolab.interfaces.Pump`."""

    dispensed = Component(Reading, value=0.0, units="mL", kind=Kind.hinted, instead="move the pump itself")
    withdrawn = Component(Reading, value=0.0, units="mL", kind=Kind.normal, instead="call dispense()")
    pumping = Component(Reading, value=0, kind=Kind.normal, instead="call dispense() or stop()")
    rate = Component(Reading, value=math.nan, units="mL/min", kind=Kind.normal, instead="call dispense()")
    status = Component(Reading, value="", kind=Kind.normal)
    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)

    diameter = Component(Reading, value=math.nan, units="mm", kind=Kind.config)
    content = Component(Reading, value=math.nan, units="mL", kind=Kind.config)
    contents = Component(Reading, value="", kind=Kind.config)
    watchdog = Component(Reading, value=math.nan, units="s", kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = NewEraNE1000Settings
    role: ClassVar[str] = "pump"

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        settings = self.settings
        self.max_volume_ml: float = settings.max_volume.value
        self.max_rate_ml_per_min: float = settings.max_rate.value
        self.read_within_s: float = settings.read_within_s
        self._wire = NewEraWire(self._link, context.name, settings.address_on_chain, self._alarmed)
        self._dose = Dose(context.name, settings)
        self._order: Order | None = None
        self._running = False
        self._armed = False
        self._interrupted: Order | None = None
        self._paused = False
        self._rate_ml_per_min = math.nan
        self._trouble = ""
        self._ticket = 0

    # ---- limits and moving

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest total infused, mL."""
        return self._dose.limits

    def check_value(self, total_ml: float) -> None:
        """Raise RefusedError where this total in mL is no number, less than there is, or more than there may be."""
        self._dose.check_total(total_ml)

    def set(self, total_ml: float, *, rate_ml_per_min: float | None = None) -> Status:
        """Infuse until this total in mL; done once it runs, or at once where the total is reached.

        RefusedError (before the first byte) by limits and alarms, or where the pump runs for another order.
        """
        self.check_value(total_ml)
        speed = self._dose.check_rate(self.settings.rate.value if rate_ml_per_min is None else rate_ml_per_min)
        self._refuse_trouble()
        ticket = self._ticket
        return self._link.submit(lambda: self._set_total(float(total_ml), speed, ticket))

    def dispense(self, volume_ml: float, rate_ml_per_min: float) -> Status:
        """Infuse this volume in mL (negative: withdraw) at this rate in mL/min; done once the pump runs.

        RefusedError as for `set`.
        """
        wanted = self._dose.finite(volume_ml, "volume in mL")
        if wanted == 0.0:
            raise RefusedError(f"{self.name}: a volume of 0 mL is nothing to dispense")
        speed = self._dose.check_rate(rate_ml_per_min)
        self._dose.check_room(wanted)
        volume_text(abs(wanted))
        self._refuse_trouble()
        ticket = self._ticket
        return self._link.submit(lambda: self._dispense(wanted, speed, ticket))

    def stop(self, *, success: bool = False) -> None:
        """Stop pumping, read back, and take the watchdog off. Never raises: the reading says so where it was not seen."""
        self._ticket += 1
        if not self._link.is_open:
            return
        try:
            self._link.call(self._halt, urgent=True, timeout_s=3 * self._link.deadline_s + 1.0)
        except Exception as error:  # noqa: BLE001 - a stop never raises: what went wrong is in the reading
            self._trouble = f"it was told to stop and not seen to stop. {BY_HAND}"
            _log.error("%s: stop not confirmed: %s. %s", self.name, error, BY_HAND)
            self._update({"valid": 0, "reason": self._trouble})

    def pause(self) -> None:
        """Stop pumping; `resume` goes on with the order. Does not raise."""
        self.stop()
        self._paused = True

    def resume(self) -> None:
        """Go on with the order that was interrupted by `pause`; RefusedError, DeviceError where that cannot be."""
        order, paused = self._interrupted, self._paused
        self._interrupted, self._paused = None, False
        if order is not None and paused:
            self._refuse_trouble()
            ticket = self._ticket
            self._link.call(lambda: self._go_on(order, ticket))

    def acknowledge(self, reason: str) -> None:
        """Release the pump after an alarm; `reason` says who looked and what was mended. RefusedError without one."""
        if not reason.strip():
            raise RefusedError(f"{self.name}: say what was the matter, and who looked")
        if self._trouble:
            _log.warning("%s: '%s' is acknowledged: %s", self.name, self._trouble, reason)
        self._trouble = ""

    # ---- staging and leaving

    def stage(self) -> list[Any]:
        """Forget an order that was interrupted; the syringe's diameter is written and read back."""
        staged: list[Any] = super().stage()
        self._interrupted, self._paused = None, False
        try:
            self._link.call(self._configure)
        except NanolabError:
            super().unstage()
            raise
        return staged

    def unstage(self) -> list[Any]:
        """Stop pumping."""
        unstaged: list[Any] = super().unstage()
        self.stop()
        return unstaged

    def disconnect(self) -> None:
        """Stop pumping, take the watchdog off, and close the link. Never raises."""
        self.stop()
        super().disconnect()

    # ---- alarms

    def _refuse_trouble(self) -> None:
        if self._trouble:
            raise RefusedError(
                f"{self.name}: {self._trouble}; look at it and begin anew, or in a shell release it with acknowledge('who looked, "
                "and what was done')"
            )

    def _alarmed(self, letter: str) -> None:
        """Take note of an alarm. One that stopped an order, or says that something is broken, must be acknowledged."""
        words = alarm_words(letter)
        if self._running or letter not in "RT":
            self._trouble = words
            _log.error("%s: %s", self.name, words)
        else:
            _log.info("%s: %s, while nothing was pumped", self.name, words)
        self._running = False

    # ---- orders, in the worker

    def _set_total(self, total_ml: float, speed: float, ticket: int) -> None:
        self._measure()
        order = self._order
        if (
            self._running
            and order is not None
            and order.volume_ml > 0.0
            and abs(order.total_ml - total_ml) < SMALLEST_ML
        ):
            return  # this is what it is doing
        wanted = self._dose.check_total(total_ml)
        if wanted < SMALLEST_ML:
            return
        self._start(Order(wanted, speed, total_ml), ticket)

    def _dispense(self, wanted_ml: float, speed: float, ticket: int) -> None:
        self._measure()
        self._dose.check_room(wanted_ml)
        done = self._dose.infused if wanted_ml > 0.0 else self._dose.withdrawn
        self._start(Order(wanted_ml, speed, done + abs(wanted_ml)), ticket)

    def _go_on(self, order: Order, ticket: int) -> None:
        """Do what is left of an order."""
        self._measure()
        left = self._dose.missing(order)
        if left >= SMALLEST_ML:
            self._start(Order(math.copysign(left, order.volume_ml), order.rate_ml_per_min, order.total_ml), ticket)

    def _start(self, order: Order, ticket: int) -> None:
        if self._running:
            raise RefusedError(f"{self.name}: it is pumping; stop it first, or wait until it is done")
        self._refuse_trouble()
        self._to_rest()
        self._write(order)
        self._refuse_trouble()
        if ticket != self._ticket:
            raise RefusedError(f"{self.name}: the order was given up: a stop came in before it began")
        self._order, self._interrupted, self._paused = order, None, False
        try:
            self._arm()
            self._wire.ask("RUN", again=False)
            self._running = True
            self._measure()
        except BaseException:
            with contextlib.suppress(NanolabError):
                self._halt()
            raise
        self._refuse_trouble()

    def _to_rest(self) -> None:
        """End a program that is paused (by the keypad, by an earlier run)."""
        if self._wire.ask("").state != "S":
            self._halt()

    def _write(self, order: Order) -> None:
        """Write what the order needs; every value is read back."""
        wire = self._wire
        self._write_diameter()
        self._clear_counters()
        direction = "INF" if order.volume_ml > 0.0 else "WDR"
        wire.ask(f"DIR{direction}")
        if (has := wire.ask("DIR").data) != direction:
            raise DeviceError(self.name, f"did not take the direction {direction}, it has {has}")
        amount, unit = volume_text(abs(order.volume_ml))
        wire.ask(f"VOL{unit}")
        wire.write("VOL", amount, unit)
        wire.write("RAT", *rate_text(order.rate_ml_per_min))
        self._rate_ml_per_min = order.rate_ml_per_min

    def _clear_counters(self) -> None:
        """From here on the counters count one order alone, whatever they do at a start or when they are full."""
        _answer, *volumes = self._wire.dispensed()
        self._dose.count(*volumes)
        self._wire.ask("CLDINF")
        self._wire.ask("CLDWDR")
        if any(volume > SMALLEST_ML for volume in self._wire.dispensed()[1:]):
            raise DeviceError(self.name, "did not clear its counters of dispensed volume")
        self._dose.cleared()

    def _write_diameter(self) -> None:
        wanted = number(self.settings.syringe_diameter.value)
        value, _unit = self._wire.value("DIA")
        if abs(value - float(wanted)) > 1e-9:  # its memory wears out by writing
            self._wire.write("DIA", wanted)
        self._update({"diameter": float(wanted)})

    def _arm(self) -> None:
        """Arm the watchdog for the time of the order."""
        seconds = self.settings.watchdog_s
        if seconds and not self._armed:
            self._set_watchdog(seconds)

    def _set_watchdog(self, seconds: int) -> None:
        self._wire.ask(f"SAF{seconds}")
        has = self._wire.ask("SAF").data
        if not has.isdigit() or int(has) != seconds:
            raise DeviceError(self.name, f"did not take a watchdog of {seconds} s", sent="SAF", received=has)
        self._armed = seconds > 0

    def _halt(self) -> None:
        """Stop, see it stopped, count. In the worker."""
        self._link.insist()
        self._paused = False
        if not self._link.trusted:
            # something went wrong before: stop first, then mend the connection, then look
            self._link.blurt(self._wire.addressed("STP"))
        order, was_running = self._order, self._running
        answer = self._wire.say("")
        for _ in range(STOPS_TRIED):
            if answer.state == "S":
                break
            self._wire.say("STP")
            answer = self._wire.say("")
        else:
            words = STATES.get(answer.state, answer.state)
            raise DeviceError(self.name, f"does not stop, it is {words}", remedy=BY_HAND)
        if was_running:
            self._interrupted = order
        self._running, self._order = False, None
        self._measure()

    # ---- reading

    def trigger(self) -> Status:
        """Take one reading, which also keeps the watchdog quiet; the status is finished by the link's worker."""
        if not self._paused:
            self._interrupted = None  # whoever goes on reading after a stop has left that order behind
        return super().trigger()

    def _measure(self) -> None:
        answer, infused, withdrawn = self._wire.dispensed()
        self._dose.count(infused, withdrawn)
        short = self._follow(answer)
        if self._armed and not answer.running:
            self._set_watchdog(0)  # it would cry for attention while there is nothing to watch
        dose = self._dose
        reason = self._trouble or short
        self._update(
            {
                "dispensed": dose.infused, "withdrawn": dose.withdrawn, "pumping": int(answer.running),
                "status": STATES[answer.state], "valid": int(not reason), "reason": reason,
                "content": dose.content, "rate": self._rate_ml_per_min,
            }
        )  # fmt: skip

    def _follow(self, answer: Answer) -> str:
        """Compare the state with what was ordered; return why it is not as it should be, empty where it is."""
        if answer.running and not self._running:
            return f"it is {STATES[answer.state]}, and no order was given from here"
        if answer.running or not self._running or self._order is None:
            return ""
        self._running = False
        wanted, missing = abs(self._order.volume_ml), self._dose.missing(self._order)
        # its four digits, and those of the counter
        if missing > max(0.01 * wanted, 2e-3 if wanted >= 1.0 else 2e-4):
            self._trouble = f"it stopped {missing:.4g} mL short of {wanted:.4g} mL without being told to from here"
        return ""

    # ---- identity, settings, audit, health (in the worker)

    def _make_transport(self) -> Transport:
        return NewEraTransport(self.context.address, SerialLine(baudrate=self.settings.baudrate))

    def _read_identity(self) -> dict[str, str]:
        # the first word on a new connection goes in a safe frame; its reply tells the mode
        seconds = self._wire.ask("SAF").data
        self._armed = seconds not in {"", "0"}
        text = self._wire.ask("VER").data
        match = _VERSION.fullmatch(text)
        if match is None:
            raise DeviceError(self.name, "is no New Era pump", sent="VER", received=text)
        return self._checked_identity({"maker": "New Era", "model": match[1], "serial": "", "firmware": match[2]})

    def _configure(self) -> None:
        if self._wire.ask("").state == "S":
            self._write_diameter()
        self._measure()
        self._update({"contents": self.settings.contents, "watchdog": float(self.settings.watchdog_s)})

    def _first_look(self) -> None:
        self._identity = self._read_identity()
        _answer, infused, withdrawn = self._wire.dispensed()
        self._dose.begin(infused, withdrawn)
        self._configure()

    def _audit(self) -> None:
        super()._audit()
        answer = self._wire.ask("")
        if answer.running and not self._running:
            self._halt()
            raise DeviceError(self.name, "was pumping after reconnecting, and no order was given; it was stopped")

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def state() -> str:
            self._measure()
            if self.reason.get():
                raise DeviceError(self.name, str(self.reason.get()))
            return str(self.status.get())

        def syringe() -> str:
            value, _unit = self._wire.value("DIA")
            if abs(value - self.settings.syringe_diameter.value) > 0.005 * value:
                raise DeviceError(self.name, f"its syringe diameter is {value:g} mm, bench.toml says otherwise")
            return f"{value:g} mm, {self.content.get():.3g} mL in it"

        return (
            ("pump", state, "Look at the pump, mend what it says, then acknowledge() it."),
            ("syringe", syringe, "Correct syringe_diameter in bench.toml, or connect again to have it written."),
        )
