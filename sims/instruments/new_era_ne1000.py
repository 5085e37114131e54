"""New Era NE-1000 syringe pump (NE-500, NE-1600, NE-4000 and WPI Aladdin alike): basic and safe mode, watchdog, alarms.

What it pumps is real: the plunger moves at the speed that rate and *set* diameter ask for, and what comes out goes by
the *true* diameter of the syringe in the world. At the end of the syringe it stalls.

Deviations from hardware. Only the functions RAT (pump) and STP (stop) of a program's phases are played, loops, jumps and
triggers are not (they answer ``?``). The dispensed counters go on counting until CLD or power off (UNSURE on hardware:
what they do at a new RUN and when they overflow); `counters_restart` has them begin anew at each RUN. STP answers ``?NA``
while stopped (UNSURE). Timers run on lab time; replies come after `reply_s` of it (UNSURE: 10 to 30 ms).
"""

from collections.abc import Callable, Mapping
from math import inf

import numpy as np

from sims.instruments.base import LINK_FAULTS, BenchWorld, InstrumentSimulator, Reply, Session
from sims.instruments.new_era_frames import PumpSession, basic_frame, safe_frame
from sims.instruments.new_era_program import (
    BAD_PACKET,
    LARGEST_DIAMETER_MM,
    LARGEST_IN_UL_MM,
    LAST_PHASE,
    NOT_NOW,
    OUT_OF_RANGE,
    SMALLEST_DIAMETER_MM,
    TO_ML_PER_MIN,
    UNKNOWN,
    CommandError,
    Memory,
    Motor,
    number,
    read_number,
)

PUMP_FAULTS: Mapping[str, str] = {
    **LINK_FAULTS,
    "power_off": "the pump has no power: it stops, and forgets its counters; with power again it shows the alarm R",
    "stall": "the plunger is blocked: the motor stalls as soon as it runs (alarm S)",
    "leak": "half of what is pumped runs beside the tubing; the pump does not notice",
}
_LEAK_SHARE = 0.5
_NAMES = ("DIA", "RAT", "VOL", "DIR", "RUN", "PUR", "STP", "DIS", "CLD", "PHN", "FUN", "SAF", "ADR", "VER")
_SWITCHES = ("LN", "AL", "PF", "BUZ", "LOC")
_NEARLY = 1e-9


class NE1000Simulator(InstrumentSimulator):
    """NE-1000.

    Parameters
    ----------
    version : str
        What VER answers.
    power_up_alarm : bool
        Whether it has just been switched on: the first command is answered with the alarm R.
    counters_restart : bool
        Whether the dispensed counters begin anew at each RUN.
    reply_s : float
        Time to a reply, s.
    """

    driver = "new_era_ne1000"
    role = "pump"
    serial = True
    faults = PUMP_FAULTS

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        version: str = "NE1000V3.928",
        power_up_alarm: bool = True,
        counters_restart: bool = False,
        reply_s: float = 0.02,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self._version = version
        self._counters_restart = counters_restart
        self._reply_s = reply_s
        self.memory = Memory()
        self.motor = Motor()
        self.alarm = "R" if power_up_alarm else ""
        self._shouted: list[bytes] = []
        self._heard_at_s: float | None = None
        self._carry_out: dict[str, Callable[[str], str]] = {name: getattr(self, f"_{name.lower()}") for name in _NAMES}

    # --- the line ---------------------------------------------------------------------------------------

    def connection(self) -> Session:
        """Return a session: one line, whoever is at the other end."""
        return PumpSession(self._heard, self._unasked, lambda: self.world.time_s)

    def _heard(self, text: str, safe: bool, sound: bool) -> list[Reply]:
        if self.deaf or (self.memory.safe_s and not safe):
            return []  # in safe mode plain text is no packet
        self._move()
        text = "".join(character for character in text if character > " ").upper()
        digits = text[:2] if text[:2].isdigit() else text[:1] if text[:1].isdigit() else ""
        if sound and int(digits or 0) != self.memory.address:
            return []
        if sound:
            self._heard_at_s = self.world.time_s
        data = self._answer(text[len(digits) :]) if sound else f"{self._state()}?{BAD_PACKET}"
        self._plan_ahead()
        # the reply to SAF already comes in the new mode
        framed = safe_frame if self.memory.safe_s else basic_frame
        frame = framed(f"{self.memory.address:02d}{data}".encode())
        return self.spoil(Reply(frame, self._reply_s * self.wall_s_per_lab_s))

    def _unasked(self, since: int) -> tuple[list[Reply], int]:
        told = len(self._shouted)
        frames = self._shouted[since:] if since >= 0 and not self.deaf else []
        return [reply for frame in frames for reply in self.spoil(Reply(frame))], told

    def _answer(self, command: str) -> str:
        if self.alarm:
            # an alarm takes the place of the reply, and the command is not carried out
            alarm, self.alarm = self.alarm, ""
            return f"A?{alarm}"
        try:
            data = self._run_command(command)
        except CommandError as error:
            data = f"?{error}"
        return self._state() + data

    def _run_command(self, command: str) -> str:
        if not command:
            return ""
        if command[:3] in self._carry_out:
            return self._carry_out[command[:3]](command[3:])
        for name in _SWITCHES:
            if command.startswith(name):
                return self._switch(name, command[len(name) :])
        raise CommandError(UNKNOWN)

    def _state(self) -> str:
        return self.motor.state

    # --- the motor --------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Count what was pumped, end what is over, and let the watchdog bite."""
        self._move()
        if self._watchdog_due() <= self.world.time_s + _NEARLY:
            self._heard_at_s = None
            self._raise_alarm("T")
        self._plan_ahead()

    def _move(self) -> None:
        motor = self.motor
        motor.move_to(self.world.time_s)
        if motor.running and motor.ml_per_s > 0.0 and self.world.plunger_travel_left_mm() <= _NEARLY:
            self._raise_alarm("S")
        if motor.running and motor.left_ml <= _NEARLY * abs(motor.ml_per_s):
            self._next_phase()

    def _next_phase(self) -> None:
        self.motor.phase += 1
        if self.motor.phase > LAST_PHASE:
            self._raise_alarm("O")
        elif self.memory.phase(self.motor.phase).function == "STP":
            self._stop()
        else:
            self._start_phase()

    def _start_phase(self) -> None:
        phase = self.memory.phase(self.motor.phase)
        rate = phase.rate * TO_ML_PER_MIN[phase.unit] / 60.0
        self.motor.left_ml = phase.volume * self.memory.ml_per_unit or inf
        self._turn(rate if phase.direction == "INF" else -rate)

    def _turn(self, ml_per_s: float, state: str = "") -> None:
        self.motor.ml_per_s = ml_per_s
        self.motor.state = state or ("I" if ml_per_s > 0.0 else "W")
        self.motor.moved_at_s = self.world.time_s
        self._push()
        if "stall" in self.active:
            self._raise_alarm("S")

    def _push(self) -> None:
        speed = self.motor.ml_per_s / self.memory.ml_per_mm if self.motor.running else 0.0
        self.world.set_plunger(speed, _LEAK_SHARE if "leak" in self.active else 0.0)

    def _stop(self, state: str = "S") -> None:
        self.motor.state = state
        if state == "S":
            self.motor.phase, self.motor.left_ml = 1, inf
        self._push()

    def _raise_alarm(self, letter: str) -> None:
        self._stop()
        self.alarm = letter
        if self.memory.safe_s:
            self._shouted.append(safe_frame(f"{self.memory.address:02d}A?{letter}".encode()))

    def _watchdog_due(self) -> float:
        if not self.memory.safe_s or self._heard_at_s is None:
            return inf
        return self._heard_at_s + self.memory.safe_s

    def _plan_ahead(self) -> None:
        motor, now = self.motor, self.world.time_s
        left = motor.seconds_left()
        if motor.running and motor.ml_per_s > 0.0:
            speed = motor.ml_per_s / self.memory.ml_per_mm
            left = min(left, self.world.plunger_travel_left_mm() / speed)
        self.due_s = min(now + left, self._watchdog_due())

    def fault_changed(self, name: str, on: bool) -> None:
        """Carry out what a fault does at once."""
        self._move()
        if name == "power_off":
            self._stop()
            self.motor.infused_ml = self.motor.withdrawn_ml = 0.0
            self._heard_at_s, self.alarm = None, "R"
        elif name == "stall" and on and self.motor.running:
            self._raise_alarm("S")
        elif name == "leak":
            self._push()
        self._plan_ahead()

    # --- commands ---------------------------------------------------------------------------------------

    def _at_rest(self) -> None:
        if self.motor.state != "S":
            raise CommandError(NOT_NOW)

    def _dia(self, text: str) -> str:
        if not text:
            return number(self.memory.diameter_mm)
        self._at_rest()
        diameter = read_number(text)
        if not SMALLEST_DIAMETER_MM <= diameter <= LARGEST_DIAMETER_MM:
            raise CommandError(OUT_OF_RANGE)
        self.memory.diameter_mm = diameter
        self.memory.volume_unit = "UL" if diameter <= LARGEST_IN_UL_MM else "ML"
        return ""

    def _rat(self, text: str) -> str:
        phase = self.memory.phase(self.motor.phase)
        if not text:
            return number(phase.rate) + phase.unit
        unit = text[-2:] if text[-2:] in TO_ML_PER_MIN else phase.unit
        rate = read_number(text.removesuffix(unit))
        slowest, fastest = self.memory.rate_limits_ml_per_min
        if not slowest <= rate * TO_ML_PER_MIN[unit] <= fastest:
            raise CommandError(OUT_OF_RANGE)
        if self.motor.running:
            if unit != phase.unit or self.motor.state == "X":
                raise CommandError(NOT_NOW)
            # volatile: the phase keeps its own rate
            signed = rate * TO_ML_PER_MIN[unit] / 60.0
            self._turn(signed if self.motor.ml_per_s > 0.0 else -signed)
            return ""
        phase.rate, phase.unit = rate, unit
        return ""

    def _vol(self, text: str) -> str:
        if not text:
            return number(self.memory.phase(self.motor.phase).volume) + self.memory.volume_unit
        self._at_rest()
        if text in {"UL", "ML"}:
            self.memory.volume_unit = text
        else:
            self.memory.phase(self.motor.phase).volume = read_number(text)
        return ""

    def _dir(self, text: str) -> str:
        phase = self.memory.phase(self.motor.phase)
        if not text:
            return phase.direction
        if text not in {"INF", "WDR", "REV"}:
            raise CommandError(UNKNOWN)
        self._at_rest()
        turned = "WDR" if phase.direction == "INF" else "INF"
        phase.direction = turned if text == "REV" else text
        return ""

    def _run(self, text: str) -> str:
        if self.motor.state == "P" and not text:
            self._turn(self.motor.ml_per_s)
            return ""
        self._at_rest()
        phase = int(read_number(text)) if text else 1
        if not 1 <= phase <= LAST_PHASE:
            raise CommandError(OUT_OF_RANGE)
        if self.memory.phase(phase).function == "STP" or not self.memory.phase(phase).rate:
            raise CommandError(NOT_NOW)
        if self._counters_restart:
            self.motor.infused_ml = self.motor.withdrawn_ml = 0.0
        self.motor.phase = phase
        self._start_phase()
        return ""

    def _pur(self, text: str) -> str:
        self._at_rest()
        fastest = self.memory.rate_limits_ml_per_min[1] / 60.0
        self.motor.left_ml = inf
        self._turn(fastest if self.memory.phase(1).direction == "INF" else -fastest, "X")
        return ""

    def _stp(self, text: str) -> str:
        if self.motor.state == "S":
            raise CommandError(NOT_NOW)
        # the first one pauses, the second one ends the program; a purge just ends
        self._stop("P" if self.motor.state in {"I", "W"} else "S")
        return ""

    def _dis(self, text: str) -> str:
        infused, withdrawn = (
            number(volume / self.memory.ml_per_unit) for volume in (self.motor.infused_ml, self.motor.withdrawn_ml)
        )
        return f"I{infused}W{withdrawn}{self.memory.volume_unit}"

    def _cld(self, text: str) -> str:
        if self.motor.running:
            raise CommandError(NOT_NOW)
        if text == "INF":
            self.motor.infused_ml = 0.0
        elif text == "WDR":
            self.motor.withdrawn_ml = 0.0
        else:
            raise CommandError(UNKNOWN)
        return ""

    def _phn(self, text: str) -> str:
        if not text:
            return f"{self.motor.phase:02d}"
        self._at_rest()
        if not 1 <= int(read_number(text)) <= LAST_PHASE:
            raise CommandError(OUT_OF_RANGE)
        self.motor.phase = int(read_number(text))
        return ""

    def _fun(self, text: str) -> str:
        phase = self.memory.phase(self.motor.phase)
        if not text:
            return phase.function
        self._at_rest()
        if text not in {"RAT", "STP"}:
            raise CommandError(UNKNOWN)
        phase.function = text
        return ""

    def _saf(self, text: str) -> str:
        if not text:
            return str(self.memory.safe_s)
        seconds = int(read_number(text))
        if not 0 <= seconds <= 255:
            raise CommandError(OUT_OF_RANGE)
        self.memory.safe_s = seconds
        # the time begins with the next packet
        self._heard_at_s = None
        return ""

    def _adr(self, text: str) -> str:
        if text:
            address = int(read_number(text))
            if address > 99:
                raise CommandError(OUT_OF_RANGE)
            self.memory.address = address
        return "" if text else f"{self.memory.address:02d}"

    def _ver(self, text: str) -> str:
        return self._version

    def _switch(self, name: str, text: str) -> str:
        if not text:
            return self.memory.switches[name]
        if text not in {"0", "1"}:
            raise CommandError(OUT_OF_RANGE)
        self.memory.switches[name] = text
        return ""
