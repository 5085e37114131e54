"""Atlas Scientific EZO-pH circuit on its UART: readings, continuous mode, temperature compensation, calibration, restarts.

The glass electrode hangs in the world and gives a voltage; the circuit makes a pH of it by its calibration and by the
temperature that it has been *told*. After power-up it talks by itself once a second until ``C,0``.

Deviations from hardware. A calibration is taken at once, settled or not. ``Export``, ``Import`` and ``Find`` are not played
beyond their code. A bare CR answers ``*ER`` (UNSURE), characters that wake it are lost (UNSURE), a dry or broken electrode
pins the reading at 0.000 (UNSURE: which end it is). Times to a reply are 0.9 s of lab time for a reading, 0.3 s for all else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

from sims.instruments.base import LINK_FAULTS, BenchWorld, InstrumentSimulator, Reply, Session

EZO_FAULTS: Mapping[str, str] = {
    **LINK_FAULTS,
    "power_off": "the circuit has no power; afterwards it is at its power-up defaults and talks once a second",
    "brown_out": "the supply dips when this is switched on: it restarts (*RS, *RE), forgets its temperature, talks again",
    "streaming": "somebody has switched continuous mode on: a line a second that nobody asked for",
    "probe_dry": "the electrode hangs in the air: the reading is pinned at the end of the range",
    "over_voltage": "the supply is too high: *OV with every reading",
    "under_voltage": "the supply is too low: *UV with every reading",
}
READING_S, OTHER_S = 0.9, 0.3
NERNST_MV_PER_K = 0.1984159
_KELVIN = 273.15
_POWER_UP_C = 25.0
_BACKLOG = 50  # lines that wait for a client who does not read; a line's buffer holds no more
_NEARLY = 1e-9


@dataclass
class Calibration:
    """Points taken, slopes towards acid and base in per cent of Nernst's, voltage at pH 7 in mV."""

    points: int = 2
    acid: float = 98.8
    base: float = 98.9
    offset_mv: float = 1.5

    def ph(self, voltage_mv: float, temperature_c: float) -> float:
        """Return the pH of a voltage."""
        over = self.offset_mv - voltage_mv
        slope = self.base if over > 0.0 else self.acid
        return 7.0 + over / (slope / 100.0 * NERNST_MV_PER_K * (temperature_c + _KELVIN))

    def take(self, point: str, ph: float, voltage_mv: float, temperature_c: float) -> None:
        """Take a point: the present voltage is this pH. ValueError where a point is missing or makes no sense."""
        nernst = NERNST_MV_PER_K * (temperature_c + _KELVIN)
        if point == "mid":
            self.points, self.acid, self.base = 1, 100.0, 100.0
            self.offset_mv = voltage_mv + nernst * (ph - 7.0)
            return
        if self.points == 0 or ph == 7.0:
            raise ValueError("the middle point comes first")
        slope = 100.0 * (self.offset_mv - voltage_mv) / (nernst * (ph - 7.0))
        if not slope > 0.0:
            raise ValueError("the voltage does not suit this point")
        if point == "low":
            self.acid = slope
        else:
            self.base = slope
        self.points = min(3, self.points + 1)


class EzoSession(Session):
    """One client: commands end with CR, replies too.

    ``heard`` takes a command and returns replies; ``unasked`` the lines since a count, and the new count.
    """

    def __init__(self, heard: Callable[[str], list[Reply]], unasked: Callable[[int], tuple[list[Reply], int]]) -> None:
        self._heard = heard
        self._unasked = unasked
        self._told = unasked(-1)[1]
        self._buffer = b""
        self.waiting = True

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes in any pieces; return the replies to every command that is whole by now."""
        *commands, self._buffer = (self._buffer + data).split(b"\r")
        self._buffer = self._buffer[:256]
        return [reply for command in commands for reply in self._heard(command.decode("latin-1").strip())]

    def resume(self) -> list[Reply]:
        """Return what the circuit said by itself."""
        replies, self._told = self._unasked(self._told)
        return replies

    def clear(self) -> None:
        """Forget half a command."""
        self._buffer = b""


class EzoPhSimulator(InstrumentSimulator):
    """EZO-pH.

    Parameters
    ----------
    version : str
        Firmware.
    calibration : Calibration or None
        Kept without power; None for the example's.
    """

    driver = "atlas_ezo_ph"
    role = "ph"
    serial = True
    faults = EZO_FAULTS

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        version: str = "2.12",
        calibration: Calibration | None = None,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self._version = version
        self.calibration = Calibration() if calibration is None else calibration
        self._settings = {"l": "1", "phext": "0", "plock": "0", "name": "", "baud": "9600"}
        self._codes = True
        self._restarted = "P"
        self._told: list[bytes] = []
        self._gone = False
        world.fit_electrode()
        self._wake()

    def _wake(self) -> None:
        self._every_s = 1.0
        self.temperature_c = _POWER_UP_C
        self._asleep = False
        self._next_s = self.world.time_s + self._every_s
        self.due_s = self._next_s

    # --- the line ---------------------------------------------------------------------------------------

    def connection(self) -> Session:
        """Return a session: one line, whoever is at the other end."""
        return EzoSession(self._heard, self._unasked)

    def _unasked(self, since: int) -> tuple[list[Reply], int]:
        lines = self._told[since:][-_BACKLOG:] if since >= 0 and not self.deaf else []
        return [part for line in lines for part in self.spoil(Reply(line))], len(self._told)

    def _say(self, *lines: str) -> None:
        self._told += [line.encode() + b"\r" for line in lines]

    def _heard(self, text: str) -> list[Reply]:
        if self.deaf or self._gone:
            return []
        if self._asleep:
            self._wake_up()
            return [self._reply(["*WA"], 0.0)]
        name, _, rest = text.partition(",")
        name = name.lower()
        try:
            lines = self._carry_out(name, rest.strip())
            code = "*OK"
        except ValueError:
            lines, code = [], "*ER"
        if self._codes and not self._gone:
            lines.append(code)
        reply = self._reply(lines, READING_S if name in {"r", "rt"} else OTHER_S)
        return self.spoil(reply) if lines else []

    def _reply(self, lines: list[str], after_s: float) -> Reply:
        data = "".join(f"{line}\r" for line in lines).encode()
        return Reply(data, after_s * self.wall_s_per_lab_s)

    def _wake_up(self) -> None:
        self._asleep = False
        self._next_s = self.world.time_s + (self._every_s or inf)
        self.due_s = self._next_s

    # --- commands ---------------------------------------------------------------------------------------

    def _carry_out(self, name: str, rest: str) -> list[str]:
        commands: dict[str, Callable[[str], list[str]]] = {
            "r": self._read, "rt": self._read_at, "c": self._continuous, "t": self._temperature, "cal": self._calibrate,
            "slope": self._slope, "status": self._status, "i": self._identify, "*ok": self._response_codes,
            "sleep": self._sleep, "factory": self._factory, "i2c": self._leave_uart, "find": self._nothing,
        }  # fmt: skip
        if name in commands:
            return commands[name](rest)
        if name in self._settings and rest:
            return self._setting(name, rest)
        raise ValueError(name)

    def _value(self) -> str:
        voltage = None if "probe_dry" in self.active else self.world.read_electrode_mv()
        ph = 0.0 if voltage is None else self.calibration.ph(voltage, self.temperature_c)
        return f"{min(max(ph, 0.0), 14.0):.3f}"

    def _read(self, rest: str) -> list[str]:
        if rest:
            raise ValueError(rest)
        supply = [code for fault, code in (("over_voltage", "*OV"), ("under_voltage", "*UV")) if fault in self.active]
        return [*supply, self._value()]

    def _read_at(self, rest: str) -> list[str]:
        self._temperature(rest)
        return self._read("")

    def _temperature(self, rest: str) -> list[str]:
        if rest == "?":
            return [f"?T,{self.temperature_c:.1f}"]
        self.temperature_c = _number(rest, -126.0, 125.0)
        return []

    def _continuous(self, rest: str) -> list[str]:
        if rest == "?":
            return [f"?C,{self._every_s:.0f}"]
        self._every_s = _number(rest, 0.0, 99.0)
        self._next_s = self.world.time_s + self._every_s if self._every_s else inf
        self.due_s = self._next_s
        return []

    def _calibrate(self, rest: str) -> list[str]:
        if rest == "?":
            return [f"?Cal,{self.calibration.points}"]
        point, _, value = rest.lower().partition(",")
        if point == "clear":
            self.calibration = Calibration(0, 100.0, 100.0, 0.0)
            return []
        voltage = self.world.read_electrode_mv()
        if point not in {"mid", "low", "high"} or voltage is None:
            raise ValueError(rest)
        self.calibration.take(point, _number(value, 0.001, 14.0), voltage, self.temperature_c)
        return []

    def _slope(self, rest: str) -> list[str]:
        if rest != "?":
            raise ValueError(rest)
        own = self.calibration
        return [f"?Slope,{own.acid:.1f},{own.base:.1f},{own.offset_mv:.2f}"]

    def _status(self, rest: str) -> list[str]:
        return [f"?Status,{self._restarted},3.83"]

    def _identify(self, rest: str) -> list[str]:
        return [f"?i,pH,{self._version}"]

    def _response_codes(self, rest: str) -> list[str]:
        if rest == "?":
            return [f"?*OK,{int(self._codes)}"]
        self._codes = bool(_number(rest, 0.0, 1.0))
        return []

    def _setting(self, name: str, rest: str) -> list[str]:
        shown = {"l": "L", "phext": "pHext", "plock": "Plock", "name": "Name", "baud": "Baud"}[name]
        if rest == "?":
            return [f"?{shown},{self._settings[name]}"]
        if name != "name":
            _number(rest, 0.0, 115200.0)
        self._settings[name] = rest
        return []

    def _sleep(self, rest: str) -> list[str]:
        self._asleep, self.due_s = True, inf
        self._next_s = inf
        return ["*SL"]

    def _factory(self, rest: str) -> list[str]:
        self.calibration = Calibration(0, 100.0, 100.0, 0.0)
        self._restart("S")
        return []

    def _leave_uart(self, rest: str) -> list[str]:
        # the reason why nobody should ever send this: the circuit speaks I2C from here on
        self._gone, self.due_s = True, inf
        return []

    def _nothing(self, rest: str) -> list[str]:
        return []

    # --- time and faults --------------------------------------------------------------------------------

    def tick(self) -> None:
        """Say the line of continuous mode when it is due."""
        if self._gone or self._asleep or "power_off" in self.active:
            self.due_s = inf
            return
        if self._next_s <= self.world.time_s + _NEARLY:
            self._say(self._value())
            self._next_s = self.world.time_s + self._every_s
        self.due_s = self._next_s

    def _restart(self, why: str) -> None:
        self._restarted = why
        self._wake()
        self._say("*RS", "*RE")

    def fault_changed(self, name: str, on: bool) -> None:
        """Carry out what a fault does at once."""
        if name == "power_off" and not on:
            self._gone = False
            self._restarted = "P"
            self._wake()
            self._say("*RE")
        elif name == "brown_out" and on:
            self._restart("B")
        elif name == "streaming":
            self._continuous("1" if on else "0")


def _number(text: str, low: float, high: float) -> float:
    value = float(text)
    if not low <= value <= high:
        raise ValueError(text)
    return value
