"""Quantum Northwest TC 1 with one Peltier cuvette holder (also qpod): temperature, ramps, stirrer, probe, reports.

Sets are not answered; what cannot be understood is ignored in silence and leaves error 09 behind. The block in the
world is really heated, so that the sample lags behind the block, more so without stirring.

Deviations from hardware. One station (F1): dual holders and cell changers are not played, `TL` and `F2` frames are errors.
Reading an error takes it off the list (UNSURE). Out of their limits, a target or a stirrer's speed is refused with error 09
(UNSURE; for the ramp rate the manual tells that it is clamped, and so it is here). Time to a reply is `reply_s` of
lab time (UNSURE).
"""

from collections.abc import Mapping
from math import inf

import numpy as np

from sims.instruments.base import LINK_FAULTS, BenchWorld, InstrumentSimulator, Reply, Session
from sims.instruments.tc1_control import PERIOD_S, Controller
from sims.instruments.tc1_session import FrameSession

TC1_FAULTS: Mapping[str, str] = {
    **LINK_FAULTS,
    "power_off": "the controller has no power: control and stirrer are off; with power again it says [F1 IS R]",
    "no_coolant": "no coolant flows: error 08, temperature control switches itself off",
    "no_probe": "the probe in the liquid is unplugged",
    "sensor_broken": "the sensor of the block is broken: error 05, temperature control switches itself off",
}
HIGHEST_C, LOWEST_C = 110.0, -30.0
FASTEST_RPM, SLOWEST_RPM = 2500, 200
EXCHANGER_LIMIT_C = 60.0
RAMP_LIMITS = (0.01, 10.0)
_HOT_EXCHANGER_C = 95.0
_NEARLY = 1e-9


class _SyntaxError(Exception):
    """A frame that makes no sense; the text goes into error 09."""


class TC1Simulator(InstrumentSimulator):
    """TC 1.

    Parameters
    ----------
    identity : int
        14 is a single cuvette holder on a TC 1, 10 to 12 a qpod.
    version : str
        Firmware.
    reply_s : float
        Time to a reply, s.
    """

    driver = "qnw_tc1"
    role = "cuvette_holder"
    serial = True
    faults = TC1_FAULTS

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        identity: int = 14,
        version: str = "2.2",
        reply_s: float = 0.05,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self._identity, self._version, self._reply_s = identity, version, reply_s
        self._told: list[str] = []
        world.fit_peltier_holder()
        self._wake()

    def _wake(self) -> None:
        self.control = Controller()
        self.errors: list[str] = []
        self.stirring = False
        self._rpm = 1000
        self._probe = False
        self._probe_band_c = 0.5
        self._old_ramp = {"RS": 0.0, "RT": 0.0}
        self._reports: set[str] = set()
        self._every: dict[str, tuple[float, float]] = {}
        self._next_look_s = self.world.time_s
        self._probe_told_c = inf
        self._apply()

    # --- the line ---------------------------------------------------------------------------------------

    def connection(self) -> Session:
        """Return a session: one line, whoever is at the other end."""
        return FrameSession(self._heard, self._unasked)

    def _heard(self, text: str) -> list[Reply]:
        if self.deaf:
            return []
        parts = text.split()
        before = self._status()
        try:
            if len(parts) < 3 or parts[0] not in {"F1", "R1", "F2"} or parts[0] != "F1":
                raise _SyntaxError
            answers = self._carry_out(parts[1], parts[2:])
        except (_SyntaxError, ValueError):
            answers = []
            self._error(f"09<<{text}>>")
        self._status_changed(before)
        delay = self._reply_s * self.wall_s_per_lab_s
        return [part for answer in answers for part in self.spoil(Reply(f"[F1 {answer}]".encode(), delay))]

    def _unasked(self, since: int) -> tuple[list[Reply], int]:
        frames = self._told[since:] if since >= 0 and not self.deaf else []
        return [part for frame in frames for part in self.spoil(Reply(frame.encode()))], len(self._told)

    def _report(self, answer: str) -> None:
        self._told.append(f"[F1 {answer}]")

    def _status_changed(self, before: str) -> None:
        if "IS" in self._reports and self._status() != before:
            self._report(f"IS {self._status()}")

    def _error(self, code: str) -> None:
        self.errors.append(code)
        if "ER" in self._reports:
            self._report(f"ER {code}")

    # --- commands ---------------------------------------------------------------------------------------

    def _carry_out(self, name: str, rest: list[str]) -> list[str]:
        verb = rest[0]
        if verb == "?" and len(rest) == 1:
            return [self._query(name)]
        if verb == "S" and len(rest) == 2:
            return self._set(name, float(rest[1]))
        if verb in {"R+", "R-"} and len(rest) == 1:
            self._switch_reports(name, verb == "R+")
            return []
        if len(rest) == 1 and verb[0] in "+-":
            self._switch(name, verb)
            return []
        raise _SyntaxError

    def _query(self, name: str) -> str:
        block, probe, exchanger = self._temperatures()
        plain = {
            "ID": f"{self._identity}", "VN": self._version, "TT": f"{self.control.target_c:.2f}",
            "MT": f"{HIGHEST_C:.0f}", "LT": f"{LOWEST_C:.0f}", "CT": f"{block:.2f}", "SS": f"{self._rpm}",
            "MS": f"{FASTEST_RPM}", "LS": f"{SLOWEST_RPM}", "PS": "-" if "no_probe" in self.active else "+",
            "PA": f"{self._probe_band_c:.2f}", "HT": f"{exchanger:.0f}", "IS": self._status(),
            "RS": f"{self._old_ramp['RS']:.0f}", "RT": f"{self._old_ramp['RT']:.2f}",
        }  # fmt: skip
        if name in plain:
            return f"{name} {plain[name]}"
        if name == "HL":
            return f"HT {EXCHANGER_LIMIT_C:.0f}"  # the maker's own tag
        if name == "PT":
            return "NOPROBE" if "no_probe" in self.active else f"PT {probe:.2f}"
        if name == "RR":
            letter = f" {self.control.ramp.status}" if "RR" in self._reports else ""
            return f"RR {self.control.ramp.k_per_min:.2f}{letter}"
        if name == "ER":
            return f"ER {self.errors.pop(0) if self.errors else '-1'}"
        raise _SyntaxError

    def _set(self, name: str, value: float) -> list[str]:
        if name == "TT" and LOWEST_C <= value <= HIGHEST_C:
            self.control.aim(round(value, 2))
            if "TT" in self._reports:
                self._report(f"TT {self.control.target_c:.2f}")
        elif name == "SS" and SLOWEST_RPM <= value <= FASTEST_RPM:
            self._rpm = round(value)
            self._apply()
        elif name == "PA" and value > 0.0:
            self._probe_band_c = round(value, 2)
        elif name == "RR":
            return self._set_ramp(value)
        elif name in {"RS", "RT"} and value >= 0.0:
            self._old_ramp[name] = value
            seconds, kelvin = self._old_ramp["RS"], self._old_ramp["RT"]
            if seconds > 0.0 and kelvin > 0.0:
                return self._set_ramp(60.0 * kelvin / seconds)
            if seconds == kelvin == 0.0:
                self.control.ramp.status = "-"
        else:
            raise _SyntaxError
        return []

    def _set_ramp(self, k_per_min: float) -> list[str]:
        ramp = self.control.ramp
        if k_per_min == 0.0:
            ramp.status = "-"
            return []
        low, high = RAMP_LIMITS
        ramp.k_per_min, ramp.status = round(min(max(k_per_min, low), high), 2), "W"
        if low <= k_per_min <= high:
            return []
        return [f"ER 09<<RR S {k_per_min:g}>>", f"RR {ramp.k_per_min:.2f}"]

    def _switch(self, name: str, verb: str) -> None:
        on = verb[0] == "+"
        if name == "TC":
            if not (on and self.active & {"no_coolant", "sensor_broken"}):
                self.control.switch(on)
        elif name == "SS":
            self.stirring = on
            self._apply()
        elif name == "PS":
            self._probe = on
        elif name == "RR":
            self.control.ramp.status = "W" if on else "-"
        elif name in {"CT", "PT"} and (len(verb) > 1 or not on):
            self._every.pop(name, None)
            if on:
                period = float(verb[1:])
                self._every[name] = (period, self.world.time_s + period)
        elif name in {"TT", "IS", "ER", "PX"}:
            (self._reports.add if on else self._reports.discard)(name)
        else:
            raise _SyntaxError
        self._plan_ahead()

    def _switch_reports(self, name: str, on: bool) -> None:
        if on:
            self._reports.add(name)
        elif name == "XX":
            self._reports.clear()
            self._every.clear()
        else:
            self._reports.discard(name)
            self._every.pop(name, None)

    # --- temperature and time ---------------------------------------------------------------------------

    def _temperatures(self) -> tuple[float, float, float]:
        block, probe, exchanger = self.world.read_holder()
        if "sensor_broken" in self.active:
            block = -99.99
        return block, probe, _HOT_EXCHANGER_C if "no_coolant" in self.active else exchanger

    def _status(self) -> str:
        control = self.control
        letters = f"{min(len(self.errors), 9)}{'+' if self.stirring else '-'}{'+' if control.on else '-'}"
        return letters + ("S" if control.stable else "C")

    def _apply(self) -> None:
        self.world.set_stirring(float(self._rpm) if self.stirring else 0.0)
        self._plan_ahead()

    def _plan_ahead(self) -> None:
        self.due_s = min([self._next_look_s, *(due for _period, due in self._every.values())])

    def tick(self) -> None:
        """Control the block, and make the reports that are due."""
        now = self.world.time_s + _NEARLY
        if "power_off" in self.active:
            self.due_s = inf
            return
        while self._next_look_s <= now:
            before = self._status()
            heat, ramp_ended = self.control.heat_w(self._temperatures()[0])
            self.world.set_holder_heat(heat)
            self._next_look_s += PERIOD_S
            self._status_changed(before)
            if ramp_ended and "TT" in self._reports:
                self._report(f"TT {self.control.target_c:.2f}")
        for name, (period, due) in list(self._every.items()):
            if due <= now:
                self._report(self._query(name))
                self._every[name] = (period, self.world.time_s + period)
        if "PX" in self._reports:
            probe = self._temperatures()[1]
            if abs(probe - self._probe_told_c) >= self._probe_band_c:
                self._probe_told_c = probe
                self._report(f"PT {probe:.2f}")
        self._plan_ahead()

    def fault_changed(self, name: str, on: bool) -> None:
        """Carry out what a fault does at once."""
        before = self._status()
        if name == "power_off":
            self.world.set_holder_heat(0.0)
            self._wake()
            if not on:
                self._report("IS R")
        elif on and name in {"no_coolant", "sensor_broken"}:
            self._error("08" if name == "no_coolant" else "05")
            self.control.switch(False)
            self.world.set_holder_heat(0.0)
        self._status_changed(before)
