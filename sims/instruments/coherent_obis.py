"""Coherent OBIS LX laser head on a serial line: SCPI-like commands with handshake.

Deviations from hardware, and choices where nothing is known for sure (UNSURE): a power out of range is answered with
ERR-220, emission that interlock or key forbid with ERR-200; after an open interlock a new ON is enough; ``ERR-000`` for an
empty error queue; `SYST:LOCK?` is answered without a controller too. External modulation has no input here: nothing is
emitted in those modes. The light: `sims.instruments.laser_head`.

The laser keeps emitting when its host dies: nothing here notices.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from math import inf

import numpy as np

from sims.instruments.base import LINK_FAULTS, BenchWorld
from sims.instruments.laser_head import CASE_C, RegulatedHead
from sims.instruments.obis_commands import BARE, Request, understood
from sims.instruments.text_session import TextInstrument

OBIS_FAULTS: Mapping[str, str] = {
    **LINK_FAULTS,
    "interlock_open": "the interlock is open: no emission; closing it does not restart the laser",
    "key_off": "the key is off: the controller is in standby, no emission",
    "over_temperature": "the base plate is too hot: fault bit 1, emission stops",
    "controller_timeout": "the controller gets no answer from the laser: every exchange ends with ERR-520",
    "lost_handshake": "the OK behind every reply is lost",
    "emission_stuck": "the output stage does not obey: OFF is acknowledged, flag and status say off, and light comes out",
    "autostart": "autostart is enabled and the mains have just come back: it emits without any computer",
    "power_off": "its mains are gone: nobody answers; when they come back it warms up, and emits if autostart is enabled",
}

_NO_EMISSION = {"interlock_open", "key_off", "over_temperature", "power_off"}
_INTERNAL = ("CWP", "CWC")
_EXTERNAL = {"DIG": "DIGITAL", "ANAL": "ANALOG", "MIX": "MIXED", "DIGSO": "DIGSO", "MIXSO": "MIXSO"}
_MOST_ERRORS = 20


class _RefusedError(Exception):
    """The command is answered with ERR and this number."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class CoherentOBISSimulator(TextInstrument):
    """OBIS LX.

    Parameters
    ----------
    rated_w : float
        Rated power at the head, W; it takes 1 to 110 % of it.
    transmission : float
        True share of it that arrives at the sample plane.
    channels : sequence of int
        Numbers under which the laser is known: 0 (or none) plugged in directly, 1 behind a Remote, up to 6 in a box.
    cdrh : bool
        Whether 5 s pass between ON and emission.
    autostart : bool
        Whether it emits by itself when its mains come back.
    autostart_off_lasts : bool
        Whether `SYST:AUT OFF` outlives the mains; with some boxes it does not.
    warm_up_s : float
        Time from the mains until it is ready, lab s. It has been on for long when the bench is ready.
    """

    driver = "coherent_obis"
    role = "laser"
    faults = OBIS_FAULTS

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        rated_w: float = 1.0,
        transmission: float = 0.9,
        channels: Sequence[int] = (0,),
        cdrh: bool = True,
        autostart: bool = False,
        autostart_off_lasts: bool = True,
        warm_up_s: float = 6.0,
        cdrh_delay_s: float = 5.0,
        reply_s: float = 0.01,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, reply_s=reply_s, slow_reply_s=slow_reply_s)
        self.head = RegulatedHead(world, transmission=transmission)
        self._rated_w = rated_w
        self._channels = frozenset(channels)
        self._delay_s = cdrh_delay_s
        self._warm_up_s = warm_up_s
        self._autostart_at_power_up = autostart
        self._autostart_off_lasts = autostart_off_lasts
        self._temperature_noise, self._current_noise = rng.spawn(2)
        self._errors: deque[int] = deque(maxlen=_MOST_ERRORS)
        self._switches = {
            "handshake": True, "prompt": False, "cdrh": cdrh, "autostart": autostart, "indicator": True,
            "blanking": False, "tec": True,
        }  # fmt: skip
        self._mode = "CWP"
        self._set_w = 0.01
        self._enabled = False
        self._emits_at_s = inf
        self._ready_at_s = -inf
        self._cycles = 12

    # --- one line ---------------------------------------------------------------------------------------

    def answer(self, line: str) -> str:
        """Answer one line: a value and OK, OK, or ERR and a number; less without handshake."""
        value = None
        try:
            request = understood(line)
            if request is None:
                raise _RefusedError(-100)
            value = self._carry_out(request)
        except _RefusedError as refusal:
            self._errors.append(refusal.code)
            return f"ERR{refusal.code}\r\n" if self._switches["handshake"] else ""
        text = "" if value is None else f"{value}\r\n"
        if self._switches["handshake"] and "lost_handshake" not in self.active:
            text += "OK\r\n"
        return text + ("OBIS> " if self._switches["prompt"] else "")

    def _carry_out(self, request: Request) -> str | None:
        communicates = request.name in {"handshake", "prompt"}
        if not communicates and request.channel not in self._channels:
            raise _RefusedError(-241)
        if "controller_timeout" in self.active and not communicates:
            raise _RefusedError(-520)
        if request.query:
            if request.argument:
                raise _RefusedError(-102)
            return self._value(request.name)
        if (request.argument == "") is not (request.name in BARE):
            raise _RefusedError(-109 if request.argument == "" else -102)
        self._set(request.name, request.argument.upper())
        self._settle()
        return None

    def _value(self, name: str) -> str:
        if name in self._switches:
            return "ON" if self._switches[name] else "OFF"
        return str(getattr(self, f"_tell_{name}")())

    def _set(self, name: str, argument: str) -> None:
        if name in self._switches:
            self._switches[name] = _switch(argument)
            if name == "autostart":
                self._autostart_at_power_up = self._switches[name]
        else:
            getattr(self, f"_set_{name}")(argument)

    # --- what can be asked ------------------------------------------------------------------------------

    def _tell_identity(self) -> str:
        return f"Coherent, Inc - {self._tell_model()} - {self._tell_firmware()} - Dec 14 2010"

    def _tell_model(self) -> str:
        return f"OBIS 808nm {1e3 * self._rated_w:.0f}mW C"

    def _tell_serial(self) -> str:
        return "SN1010101"

    def _tell_part(self) -> str:
        return "1185055"

    def _tell_firmware(self) -> str:
        return "V1.0.1"

    def _tell_protocol(self) -> str:
        return "P1.0"

    def _tell_made(self) -> str:
        return "20101214"

    def _tell_calibrated(self) -> str:
        return "20101215"

    def _tell_test(self) -> str:
        return "0"

    def _tell_wavelength(self) -> str:
        return "808.0"

    def _tell_rating(self) -> str:
        return f"{self._rated_w:.5f}"

    def _tell_type(self) -> str:
        return "DDL"

    def _tell_cycles(self) -> str:
        return str(self._cycles)

    def _tell_hours(self) -> str:
        return f"{1200.0 + self.world.time_s / 3600.0:.2f}"

    def _tell_diode_hours(self) -> str:
        return f"{310.0 + self.world.time_s / 3600.0:.2f}"

    def _tell_status(self) -> str:
        now, active = self.world.time_s, self.active
        word = 0x2 if self._emitting() else 0
        word |= 0x4 if now >= self._ready_at_s and not active & _NO_EMISSION else 0x100 if now < self._ready_at_s else 0
        word |= 0x10 if self._enabled and self._ready_at_s <= now < self._emits_at_s else 0
        word |= 0x1 if self._fault_word() else 0
        word |= 0x0400_0000 if "interlock_open" in active else 0
        word |= 0x0200_0000 if "key_off" in active else 0
        word |= 0x400 if self._mode not in _INTERNAL else 0
        return f"{word:08X}"

    def _tell_fault(self) -> str:
        return f"{self._fault_word():08X}"

    def _tell_lock(self) -> str:
        return "OFF" if "interlock_open" in self.active else "ON"

    def _tell_error_count(self) -> str:
        return str(len(self._errors))

    def _tell_next_error(self) -> str:
        return f"ERR{self._errors.popleft()}" if self._errors else "ERR-000"

    def _tell_state(self) -> str:
        return "ON" if self._enabled else "OFF"

    def _tell_mode(self) -> str:
        return self._mode

    def _tell_setpoint(self) -> str:
        return f"{self._set_w:.5f}"

    def _tell_measured(self) -> str:
        return f"{self.head.measured_w():.5f}"

    def _tell_current(self) -> str:
        noise = 1e-4 * float(self._current_noise.standard_normal()) if self.head.emitting else 0.0
        return f"{self.head.current_a + noise:.4f}"

    def _tell_least(self) -> str:
        return f"{0.01 * self._rated_w:.5f}"

    def _tell_most(self) -> str:
        return f"{1.1 * self._rated_w:.5f}"

    def _tell_nominal(self) -> str:
        return f"{self._rated_w:.5f}"

    def _tell_least_current(self) -> str:
        return "0.0000"

    def _tell_most_current(self) -> str:
        return "2.5000"

    def _tell_diode_c(self) -> str:
        return f"{CASE_C + 0.01 * float(self._temperature_noise.standard_normal()):.1f}C"

    def _tell_internal_c(self) -> str:
        return "31.0C"

    def _tell_base_c(self) -> str:
        hot = 35.0 if "over_temperature" in self.active else 0.0
        return f"{28.0 + hot + 2.0 * self.head.current_a:.1f}C"

    # --- what can be set --------------------------------------------------------------------------------

    def _set_state(self, text: str) -> None:
        if not _switch(text):
            self._disable()
        elif not self._enabled:
            if self.active & _NO_EMISSION or self.world.time_s < self._ready_at_s:
                raise _RefusedError(-200)
            self._enable()

    def _set_internal(self, text: str) -> None:
        self._choose_mode({mode: mode for mode in _INTERNAL}, text)

    def _set_external(self, text: str) -> None:
        self._choose_mode(_EXTERNAL, text)

    def _choose_mode(self, known: Mapping[str, str], text: str) -> None:
        if text not in known:
            raise _RefusedError(-220)
        if self._enabled:
            raise _RefusedError(-200)
        self._mode = known[text]

    def _set_setpoint(self, text: str) -> None:
        try:
            power = float(text)
        except ValueError:
            raise _RefusedError(-220) from None
        if not 0.01 * self._rated_w <= power <= 1.1 * self._rated_w:
            raise _RefusedError(-220)
        self._set_w = power

    def _set_clear_errors(self, _text: str) -> None:
        self._errors.clear()

    def _set_restart(self, _text: str) -> None:
        self._power_up()

    # --- time and faults --------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let delay and warm-up end, the protections look and the power be regulated."""
        self.head.regulate()
        self._settle()

    def fault_changed(self, name: str, on: bool) -> None:
        """Carry out what a fault does at once."""
        if name == "emission_stuck":
            self.head.stuck = on
        elif name == "autostart":
            self._switches["autostart"] = self._autostart_at_power_up = on
            self._disable()
            if on:
                self._enable()
        elif name == "power_off":
            self._disable()
            if not on:
                self._power_up()
        self._settle()

    def _power_up(self) -> None:
        self._disable()
        self._cycles += 1
        self._ready_at_s = self.world.time_s + self._warm_up_s
        if not self._autostart_off_lasts:
            self._autostart_at_power_up = True
        self._switches["autostart"] = self._autostart_at_power_up
        if self._autostart_at_power_up:
            self._enable()

    def _enable(self) -> None:
        ready = max(self.world.time_s, self._ready_at_s)
        self._enabled, self._emits_at_s = True, ready + (self._delay_s if self._switches["cdrh"] else 0.0)

    def _disable(self) -> None:
        self._enabled, self._emits_at_s = False, inf

    def _emitting(self) -> bool:
        return self._enabled and self.world.time_s >= self._emits_at_s

    def _fault_word(self) -> int:
        return 0x1 if "over_temperature" in self.active else 0

    def _settle(self) -> None:
        if self.active & _NO_EMISSION:
            self._disable()
        if self._emitting() and self._mode in _INTERNAL:
            self.head.emit(self._set_w)
        else:
            self.head.off(cut=bool(self.active & {"interlock_open", "power_off"}))
        waits = self._enabled and self._emits_at_s > self.world.time_s
        self.due_s = min(self._emits_at_s if waits else inf, self.head.due_s)


def _switch(text: str) -> bool:
    if text not in {"ON", "OFF"}:
        raise _RefusedError(-220)
    return text == "ON"
