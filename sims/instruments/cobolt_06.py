"""Hübner Cobolt 06-MLD: a diode laser head on a serial line, legacy commands (W and mA).

Deviations from hardware, and choices where nothing is known for sure (UNSURE): the texts of refusals other than an illegal
command; the reply to ``l1`` while interlock or fault forbid emission (OK, and no light: OK is no proof of light anywhere
here); state 0 of ``gom?`` while the TEC settles and while it warms up; both times; a power out of range is refused, not
clipped. There is no modulation input: in modulation mode nothing is emitted. The light: `sims.instruments.laser_head`.

The unit as served has no key switch and no autostart (OEM). The fault `cdrh` makes it a unit with both, `autostart` one
that starts by itself. The laser keeps emitting when its host dies: nothing here notices.
"""

from collections.abc import Callable, Mapping
from math import inf

import numpy as np

from sims.instruments.base import LINK_FAULTS, BenchWorld
from sims.instruments.laser_head import CASE_C, RegulatedHead
from sims.instruments.text_session import TextInstrument

COBOLT_FAULTS: Mapping[str, str] = {
    **LINK_FAULTS,
    "interlock_open": "the interlock is open: no emission; closing it does not restart the laser, fault 3 stays till cleared",
    "key_off": "the key is off: a unit with a key switch (see cdrh) does not emit",
    "over_temperature": "the base plate is too hot: fault 1, emission stops",
    "power_not_reached": "the diode is worn out: constant power is not reached, fault 4, emission stops",
    "emission_stuck": "the output stage does not obey: l0 is acknowledged, l? says 0, and light comes out",
    "autostart": "autostart is enabled and the mains have just come back: it starts by itself, without any computer",
    "cdrh": "the unit has a key switch and autostart: it starts by its own sequence, after an open interlock by the key",
    "power_off": "its mains are gone: nobody answers; when they come back a unit with autostart starts its sequence",
    "hurried_commands_lost": "a command that comes within 20 ms (lab time) of the last reply is lost",
}

ILLEGAL = "Syntax error: illegal command"
NOT_IN_AUTOSTART = "Syntax error: not allowed in autostart mode"  # UNSURE: the exact text
OUT_OF_RANGE = "Syntax error: value out of range"  # UNSURE

_MODES = {"cp": 1, "ecp": 1, "ci": 0, "ecc": 0, "em": 2}
_HURRY_S = 0.02


class _NotTakenError(Exception):
    """The command is answered with this text."""


class Cobolt06MLDSimulator(TextInstrument):
    """Cobolt 06-MLD.

    Parameters
    ----------
    cdrh : bool
        Whether it has a key switch (and autostart enabled).
    generation : int
        1; a unit of generation 2 tells its model and takes none of the commands that set power, current or mode.
    max_w : float
        Largest power at the head, W.
    transmission : float
        True share of it that arrives at the sample plane.
    tec_s, warm_up_s : float
        Lengths of the two steps of the autostart sequence, lab s.
    pause_known : bool
        Whether l0r and l1r are known; older firmware lacks them.
    echo : bool
        Whether it repeats every command before its reply.
    line_end : str
        What ends a reply: CR LF on units seen, CR by an older manual.
    """

    driver = "cobolt_06_mld"
    role = "laser"
    faults = COBOLT_FAULTS

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        cdrh: bool = False,
        generation: int = 1,
        max_w: float = 1.0,
        transmission: float = 0.9,
        tec_s: float = 1.5,
        warm_up_s: float = 2.0,
        pause_known: bool = False,
        echo: bool = False,
        line_end: str = "\r\n",
        reply_s: float = 0.01,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, reply_s=reply_s, slow_reply_s=slow_reply_s)
        self.head = RegulatedHead(world, transmission=transmission)
        self.key_switch = self.autostart = cdrh
        self._generation = generation
        self._max_w = max_w
        self._steps_s = {"tec": tec_s, "warm-up": warm_up_s}
        self._pause_known = pause_known
        self._echo = echo
        self._end = line_end
        self._temperature_noise, self._current_noise = rng.spawn(2)
        self._set_w = 0.01
        self._set_ma = 0.0
        self._mode = 1
        self._flags = {"@cobasdr": 0, "dmes": 0, "ames": 0, "alis": 0, "oom": 0}
        self._modulation_mw = 0.0
        self._phase = "off"
        self._until_s = inf
        self._fault = 0
        self._paused = False
        self._key_wanted = False
        self._replied_at = -inf
        self._queries = self._query_table()
        self._actions = self._action_table()

    # --- one line ---------------------------------------------------------------------------------------

    def answer(self, line: str) -> str:
        """Answer one command: exactly one line (and the echo before it, if it has one)."""
        now = self.world.time_s
        if "hurried_commands_lost" in self.active and now - self._replied_at < _HURRY_S:
            return ""
        self._replied_at = now
        try:
            reply = self._carry_out(line)
        except _NotTakenError as refusal:
            reply = str(refusal)
        return (line + self._end if self._echo else "") + reply + self._end

    def _carry_out(self, line: str) -> str:
        if line in self._queries:
            return self._queries[line]()
        word, _, argument = line.partition(" ")
        action = self._actions.get(word)
        if action is None or (argument == "") is not (word in self._bare):
            raise _NotTakenError(ILLEGAL)
        action(argument)
        self._settle()
        return "OK"

    def _query_table(self) -> dict[str, Callable[[], str]]:
        def flag(name: str) -> Callable[[], str]:
            return lambda: str(self._flags[name])

        table: dict[str, Callable[[], str]] = {
            "?": lambda: "OK",
            "gfv?": lambda: "CAP-1004.2.0",
            "gsn?": lambda: "12345",
            "sn?": lambda: "12345",
            "glm?": lambda: f"0808-06-01-{1000 * self._max_w:04.0f}-{100 if self._generation == 1 else 1000}",
            "hrs?": lambda: f"{828.98 + self.world.time_s / 3600.0:.2f}",
            "ilk?": lambda: str(int("interlock_open" in self.active)),
            "@cobasks?": lambda: str(int("key_off" not in self.active)),
            "gkses?": lambda: str(int(self.key_switch)),
            "f?": lambda: str(self._fault),
            "rbpt?": lambda: f"{self._base_plate_c():.2f}",
            "rtect?": lambda: f"{CASE_C + 0.01 * float(self._temperature_noise.standard_normal()):.2f}",
        }
        if self._generation == 1:
            table |= {
                "l?": lambda: str(int(self._phase == "on")),
                "p?": lambda: f"{self._set_w:.5f}",
                "pa?": lambda: f"{self.head.measured_w():.5f}",
                "glp?": lambda: f"{1e3 * self._set_w:.2f}",
                "gmlp?": lambda: f"{1e3 * self._max_w:.2f}",
                "i?": self._current_text,
                "rlc?": self._current_text,
                "glc?": lambda: f"{self._set_ma:.1f}",
                "gmlc?": lambda: "2500.0",
                "glmp?": lambda: f"{self._modulation_mw:.2f}",
                "gam?": lambda: str(self._mode),
                "gom?": lambda: str(self._state()),
                "leds?": lambda: str(1 + 2 * (self._phase == "on") + 4 * (self._phase == "on") + 8 * bool(self._fault)),
                "@cobas?": lambda: str(int(self.autostart)),
                "@cobasdr?": flag("@cobasdr"),
                "gdmes?": flag("dmes"),
                "games?": flag("ames"),
                "galis?": flag("alis"),
            }
        return table

    def _action_table(self) -> dict[str, Callable[[str], None]]:
        def flag(name: str) -> Callable[[str], None]:
            return lambda text: self._flags.__setitem__(name, int(_switch(text)))

        bare: dict[str, Callable[[str], None]] = {"cf": lambda _: self._clear_fault()}
        table: dict[str, Callable[[str], None]] = {}
        if self._generation == 1:
            bare |= {
                "l0": lambda _: self._switch_off(),
                "l1": lambda _: self._switch_on(),
                "@cob1": lambda _: self._start_sequence(),
                "@cob0": lambda _: self._switch_off(),
                "restart": lambda _: self._start_sequence(),
                "abort": lambda _: self._abort(),
                "eoom": lambda _: self._flags.__setitem__("oom", 1),
                "xoom": lambda _: self._flags.__setitem__("oom", 0),
                **{word: self._mode_action(mode) for word, mode in _MODES.items()},
            }
            if self._pause_known:
                bare |= {"l0r": lambda _: self._pause(True), "l1r": lambda _: self._pause(False)}
            table = {
                "p": lambda text: self._set_power(_number(text)),
                "@cobasp": lambda text: self._set_power(_number(text)),
                "slp": lambda text: self._set_power(_number(text) / 1e3),
                "slc": lambda text: setattr(self, "_set_ma", _within(_number(text), 2500.0)),
                "slmp": lambda text: setattr(self, "_modulation_mw", _within(_number(text), 1e3 * self._max_w)),
                "@cobas": self._set_autostart,
                "@cobasdr": flag("@cobasdr"),
                "sdmes": flag("dmes"),
                "sames": flag("ames"),
                "salis": flag("alis"),
            }
        self._bare = frozenset(bare)
        return {**bare, **table}

    def _mode_action(self, mode: int) -> Callable[[str], None]:
        return lambda _: setattr(self, "_mode", mode)

    def _current_text(self) -> str:
        noise = 0.1 * float(self._current_noise.standard_normal()) if self.head.emitting else 0.0
        return f"{1e3 * self.head.current_a + noise:.1f}"

    def _base_plate_c(self) -> float:
        hot = 35.0 if "over_temperature" in self.active else 0.0
        return 27.0 + hot + 3.0 * self.head.current_a

    def _state(self) -> int:
        if self._fault:
            return 5
        waiting = {"key": 1, "aborted": 6, "on": 4 if self._mode == 2 else 3 if self._flags["oom"] else 2}
        return waiting.get(self._phase, 0)

    # --- what the commands do ---------------------------------------------------------------------------

    def _set_power(self, power_w: float) -> None:
        self._set_w = _within(power_w, self._max_w)

    def _set_autostart(self, text: str) -> None:
        wanted = _switch(text)
        if wanted and not self.autostart:
            self._switch_off()
        self.autostart = wanted

    def _switch_off(self) -> None:
        self._phase, self._until_s = "off", inf

    def _switch_on(self) -> None:
        if self.autostart:
            raise _NotTakenError(NOT_IN_AUTOSTART)
        if not self._fault and self._phase != "on":
            self._phase, self._until_s = "on", inf  # past the key, where there is one

    def _start_sequence(self) -> None:
        if self._phase == "on" and self.key_switch:
            self._key_wanted = True  # it emits, runs its sequence again, and stays dark until the key is turned
        self._phase, self._until_s = "tec", self.world.time_s + self._steps_s["tec"]

    def _abort(self) -> None:
        self._phase, self._until_s = "aborted", inf

    def _pause(self, paused: bool) -> None:
        self._paused = paused

    def _clear_fault(self) -> None:
        self._fault = 0

    # --- time and faults --------------------------------------------------------------------------------

    def tick(self) -> None:
        """Go on with the sequence, let the protections look and the power be regulated."""
        self.head.regulate()
        self._settle()

    def fault_changed(self, name: str, on: bool) -> None:
        """Carry out what a fault does at once."""
        if name == "key_off" and not on:
            self._key_wanted = False
        elif name == "emission_stuck":
            self.head.stuck = on
        elif name == "cdrh":
            self.key_switch = self.autostart = on
            self._switch_off()
        elif name == "autostart":
            self.autostart = on
            (self._start_sequence if on else self._switch_off)()
        elif name == "power_off":
            self._switch_off()
            self._fault = 0
            if not on and self.autostart:
                self._key_wanted = self.key_switch
                self._start_sequence()
        self._settle()

    def _settle(self) -> None:
        self._protect()
        self._go_on()
        if self._phase != "on" or self._paused or self._mode == 2:
            self.head.off(cut=self._cut())
        elif self._mode == 0:
            self.head.let_flow(self._set_ma / 1e3)
        else:
            self.head.emit(self._set_w)
            if self.head.starved:
                self._trip(4)
        self.due_s = min(self._until_s, self.head.due_s)

    def _cut(self) -> bool:
        """Whether the diode's supply itself is gone."""
        return bool(self.active & {"interlock_open", "power_off"})

    def _protect(self) -> None:
        active = self.active
        if "interlock_open" in active:
            self._key_wanted = self._key_wanted or (self.key_switch and self._phase != "off")
            self._trip(3)
        elif "over_temperature" in active:
            self._trip(1)
        elif "power_not_reached" in active and self._phase == "on":
            self._trip(4)
        elif "key_off" in active and self.key_switch and self._phase in {"warm-up", "on"}:
            self._phase, self._until_s = "key", inf

    def _trip(self, fault: int) -> None:
        self._fault = fault
        self._switch_off()
        self.head.off(cut=self._cut())

    def _go_on(self) -> None:
        now = self.world.time_s
        if self._phase == "tec" and now >= self._until_s:
            self._phase, self._until_s = "key", inf
        key_is_right = not self.key_switch or ("key_off" not in self.active and not self._key_wanted)
        if self._phase == "key" and key_is_right:
            self._phase, self._until_s = "warm-up", now + self._steps_s["warm-up"]
        if self._phase == "warm-up" and now >= self._until_s:
            self._phase, self._until_s = "on", inf


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _NotTakenError(ILLEGAL) from None
    return value


def _within(value: float, most: float) -> float:
    if not 0.0 <= value <= most:
        raise _NotTakenError(OUT_OF_RANGE)
    return value


def _switch(text: str) -> bool:
    if text not in {"0", "1"}:
        raise _NotTakenError(ILLEGAL)
    return text == "1"
