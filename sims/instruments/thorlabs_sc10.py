"""Thorlabs SC10 shutter controller with an SH05 shutter, on RS-232: echo, value, prompt.

Every character is echoed; CR carries the line out; ``> `` says that it is done. ``ens`` is a toggle. There is no
communication watchdog: in manual mode the shutter stays as it is when its host dies.

Deviations from hardware, where the manual leaves it open: an open interlock closes the blade, disables, and makes
``ens`` answer ``Command error CMD_NOT_ALLOWED`` (the text is UNSURE); it powers up disabled and closed (UNSURE); the
error prefix is an option. A changed baud rate is kept and told; bytes here have no rate. A transit takes `transit_s`
of lab time, and none at full speed, where it is credited. In mode 5 (external gate) nothing drives the gate input: the
blade stays closed. A change of mode while enabled disables first (UNSURE). ``resp`` and ``default`` bring settings back while disabled.
"""

from collections.abc import Mapping
from math import inf

import numpy as np

from sims.instruments.base import LINK_FAULTS, BenchWorld, InstrumentSimulator, Reply, Session

SC10_FAULTS: Mapping[str, str] = {
    **LINK_FAULTS,
    "interlock_open": "the interlock is open: the blade closes and stays closed",
    "blade_stuck": "the blade does not move any more, whatever the controller is told",
    "eaten_first_byte": "the first byte of the next command is lost, once",
    "lost_ens_reply": "the answer to every ens is lost; the shutter obeys all the same",
    "power_off": "no mains: the blade is closed and the port is gone; it comes back disabled",
}

_DEFAULTS: Mapping[str, int] = {"mode": 1, "trig": 0, "xto": 0, "rep": 1, "open": 200, "shut": 200, "baud": 0}
_RANGES: Mapping[str, tuple[int, int]] = {
    "mode": (1, 5), "trig": (0, 1), "xto": (0, 1), "rep": (1, 99), "open": (0, 999999), "shut": (0, 999999),
    "baud": (0, 1),
}  # fmt: skip
_MANUAL, _AUTO, _SINGLE, _REPEAT = 1, 2, 3, 4
_INPUT_LIMIT = 256
_HELP = "id? ens ens? mode trig xto rep open shut closed? interlock? baud save savp resp default"


class _Sc10Session(Session):
    def __init__(self, controller: "ThorlabsSC10Simulator") -> None:
        self._controller = controller
        self._buffer = b""

    def feed(self, data: bytes) -> list[Reply]:
        controller = self._controller
        if controller.deaf or not data:
            return []
        if "eaten_first_byte" in controller.active:
            controller.active.discard("eaten_first_byte")
            data = data[1:]
        *lines, rest = (self._buffer + data).split(b"\r")
        self._buffer = rest[-_INPUT_LIMIT:]
        return [reply for line in lines for reply in controller.obey(line)]

    def clear(self) -> None:
        self._buffer = b""


class ThorlabsSC10Simulator(InstrumentSimulator):
    """SC10.

    Parameters
    ----------
    identity : str
        What ``id?`` answers.
    error_prefix : str
        What stands before the word of an error (UNSURE).
    transit_s : float
        Time that the blade takes, s of lab time (UNSURE: a few to 10 ms).
    """

    driver = "thorlabs_sc10"
    role = "shutter"
    serial = True
    faults = SC10_FAULTS

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        identity: str = "THORLABS SC10 VERSION 1.07",
        error_prefix: str = "Command error ",
        transit_s: float = 0.010,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self._identity = identity
        self._error_prefix = error_prefix
        self._transit_s = transit_s
        self._saved: dict[str, int] = dict(_DEFAULTS)
        self._power_up()

    def _power_up(self) -> None:
        self._values = dict(self._saved)
        self._enabled = False
        self._wanted_open = False
        self._blade_open = False
        self._arrives_s = inf
        self._phase_ends_s = inf
        self._cycles_left = 0
        self.due_s = inf
        self.world.set_shutter(False)

    def connection(self) -> Session:
        """Return a session with an input buffer of its own."""
        return _Sc10Session(self)

    # --- lines ------------------------------------------------------------------------------------------

    def obey(self, line: bytes) -> list[Reply]:
        """Carry out one line (without CR) and return echo, value and prompt."""
        text = line.decode("ascii", "replace")
        try:
            value = self._answer(text)
        except ValueError as error:
            value = f"{self._error_prefix}{error}"
        if text == "ens" and "lost_ens_reply" in self.active:
            return []
        said = "" if value is None else f"{value}\r"
        return self.spoil(Reply(f"{text}\r{said}> ".encode("ascii", "replace")))

    def _answer(self, text: str) -> str | None:
        name, equals, argument = text.partition("=")
        if equals and name in _RANGES:
            self._write(name, argument)
            return None
        asked = self._asked(text)
        if asked is not None:
            return asked
        if text not in {"ens", "save", "savp", "resp", "default", ""}:
            raise ValueError("CMD_NOT_DEFINED")
        if text == "ens":
            self._toggle_enable()
        elif text in {"save", "savp"}:
            self._saved = dict(self._values)
        elif text:
            if self._enabled:
                raise ValueError("CMD_NOT_ALLOWED")
            self._values = dict(self._saved if text == "resp" else _DEFAULTS)
        return None

    def _asked(self, text: str) -> str | None:
        answers = {
            "?": _HELP,
            "id?": self._identity,
            "*idn?": self._identity,
            "ens?": str(int(self._enabled)),
            "closed?": str(int(not self._blade_open)),
            "interlock?": str(int("interlock_open" in self.active)),
            **{f"{name}?": str(value) for name, value in self._values.items()},
        }
        return answers.get(text)

    def _write(self, name: str, argument: str) -> None:
        low, high = _RANGES[name]
        if not (argument.isascii() and argument.isdigit() and len(argument) <= 6 and low <= int(argument) <= high):
            raise ValueError("CMD_ARG_INVALID")
        if self._enabled and name == "mode" and int(argument) != self._values["mode"]:
            self._disable()
        self._values[name] = int(argument)

    # --- the shutter --------------------------------------------------------------------------------------

    def _toggle_enable(self) -> None:
        if self._enabled:
            self._disable()
            return
        if "interlock_open" in self.active:
            raise ValueError("CMD_NOT_ALLOWED")
        self._enabled = True
        mode = self._values["mode"]
        if mode in {_MANUAL, _AUTO, _SINGLE, _REPEAT}:
            self._cycles_left = {_SINGLE: 1, _REPEAT: self._values["rep"]}.get(mode, 0)
            self._move(True)
            if mode != _MANUAL:
                self._phase_ends_s = self.world.time_s + self._values["open"] / 1000.0
        self._note_due()

    def _disable(self) -> None:
        self._enabled = False
        self._phase_ends_s = inf
        self._move(False)
        self._note_due()

    def _move(self, is_open: bool) -> None:
        self._wanted_open = is_open
        self._arrives_s = self.world.time_s + (self._transit_s if self.wall_s_per_lab_s > 0.0 else 0.0)
        self._settle()

    def _settle(self) -> None:
        if self.world.time_s >= self._arrives_s:
            self._arrives_s = inf
            if "blade_stuck" not in self.active:
                self._blade_open = self._wanted_open
                self.world.set_shutter(self._blade_open)

    def tick(self) -> None:
        """Let the blade arrive, and the pattern of the mode go on."""
        self._settle()
        if self.world.time_s >= self._phase_ends_s:
            self._next_phase()
        self._note_due()

    def _next_phase(self) -> None:
        began = self._phase_ends_s
        if self._wanted_open:
            self._cycles_left -= 1
            self._move(False)
            if self._values["mode"] != _AUTO and self._cycles_left <= 0:
                self._disable()
                return
            self._phase_ends_s = began + self._values["shut"] / 1000.0
        else:
            self._move(True)
            self._phase_ends_s = began + self._values["open"] / 1000.0

    def _note_due(self) -> None:
        self.due_s = min(self._arrives_s, self._phase_ends_s)

    def fault_changed(self, name: str, on: bool) -> None:
        """Close where the interlock opens or the power is gone; let a blade that is free again move."""
        if name == "power_off":
            self._power_up()
        if name == "interlock_open" and on and (self._enabled or self._blade_open):
            self._disable()
        if name == "blade_stuck" and not on:
            self._move(self._wanted_open)
        self._note_due()
