"""Thorlabs PM100D optical power meter with one of three heads, over SCPI.

Deviations from hardware. USBTMC is played by a TCP stream (see `sims.instruments.scpi`). Zero, gain, noise
and lag of the head are the world's; averaging takes the mean of at most eight of its readings, because
readings closer together than the head's lag share their noise. Choices where the manual leaves it open: the
error queue holds 10; over-range reads as `over_range_text`; a wavelength outside the head's range is coerced
to it (as the maker's firmware does); without a head a measurement answers nothing and leaves -241.

Chosen by where the head stands unless told otherwise: an S121C (500 mW) at a pickoff, an S425C thermopile
(10 W) in the beam. The file is longer than others: it is the command table of one instrument, kept together.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sims.instruments.base import BenchWorld
from sims.instruments.scpi import SCPI_FAULTS, ScpiInstrument
from sims.instruments.scpi_tree import scpi
from sims.instruments.scpi_values import ScpiError, Setting, extreme, read_limited, read_switch, read_word

PM_FAULTS: Mapping[str, str] = {
    **SCPI_FAULTS,
    "over_range": "more light than the head can take: every reading is over-range",
    "sensor_unplugged": "the head is unplugged: no identity, no readings",
    "stuck_reading": "the meter repeats its last reading for ever",
    "beam_blocked": "something stands in front of the head: it reads next to nothing",
}

_AVERAGE_S = 1.0 / 3000.0  # base period of the PM100D's averaging
_ZEROING_S = 3.0
_DARK_NOISE_W = 1e-5
_CONNECTED, _READY, _ZEROING, _MEASURING = 256, 512, 128, 16


@dataclass(frozen=True)
class Head:
    """A power head: its identity, ranges (upper ends, W) and wavelengths (nm)."""

    identity: str
    ranges_w: tuple[float, ...]
    low_nm: float
    high_nm: float
    default_nm: float
    responsivity: float
    """A/W for a photodiode, V/W for a thermopile."""
    thermopile: bool = False


HEADS: Mapping[str, Head] = {
    "S120C": Head('"S120C","16060232","2-JUN-2021",1,18,33', (5e-7, 5e-6, 5e-5, 5e-4, 5e-3, 5e-2), 400, 1100, 635, 0.3),
    "S121C": Head(
        '"S121C","17112034","9-MAR-2022",1,18,33', (5e-6, 5e-5, 5e-4, 5e-3, 5e-2, 5e-1), 400, 1100, 635, 0.03
    ),
    "S425C": Head(
        '"S425C","18030511","17-JAN-2022",2,2,97',
        (0.01, 0.1, 1.0, 10.0),
        190,
        20000,
        1064,
        2e-4,
        thermopile=True,
    ),
}


class PM100DSimulator(ScpiInstrument):
    """PM100D.

    Parameters
    ----------
    head : str
        One of `HEADS`, or ``"auto"``.
    over_range_text : str
        What the firmware says instead of a number: ``9.90000000E+37``, ``INFINITY``, ``inf`` or ``nan``.
    """

    driver = "thorlabs_pm100d"
    role = "powermeter"
    identity = "THORLABS,PM100D,P0012345,2.4.0"
    faults = PM_FAULTS
    status_groups: ClassVar[Mapping[str, str]] = {
        "STATus:MEASurement": "measurement",
        "STATus:OPERation": "operation",
        "STATus:QUEStionable": "questionable",
        "STATus:AUXiliary": "auxiliary",
    }
    settings = (
        Setting("loss", "[SENSe:]CORRection[:LOSS[:INPut[:MAGNitude]]]", 0.0, -60.0, 60.0, "DB"),
        Setting("beam", "[SENSe:]CORRection:BEAMdiameter", 9.5, 0.1, 100.0, "MM"),
        Setting("average", "[SENSe:]AVERage[:COUNt]", 1.0, 1.0, 10000.0),
        Setting("unit", "[SENSe:]POWer[:DC]:UNIT", "W", words=("W", "DBM")),
        Setting("reference", "[SENSe:]POWer[:DC]:REFerence", 0.0, -1e3, 1e3, "W"),
        Setting("relative", "[SENSe:]POWer[:DC]:REFerence:STATe", False),
        Setting("filter", "INPut[:PDIode]:FILTer[:LPASs][:STATe]", True),
        Setting("accelerator", "INPut:THERmopile:ACCelerator:AUTO", True),
        Setting("tau", "INPut:THERmopile:ACCelerator:TAU", 0.6, 0.01, 60.0, "S"),
        Setting("continuous", "INITiate:CONTinuous", False),
    )

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        head: str = "auto",
        over_range_text: str = "9.90000000E+37",
        slow_reply_s: float = 30.0,
    ) -> None:
        if head == "auto":
            head = "S121C" if world.meter_position == "pickoff" else "S425C"
        self._head = HEADS[head]
        self._wavelength_nm = self._head.default_nm
        self._range_w = self._head.ranges_w[-1]
        self._auto_range = True
        self._zero_w = 0.0
        self._zero_until_s: float | None = None
        self._over_range_text = over_range_text
        self._over_range = False
        self._function = "POW"
        self._fetched: str | None = None
        self._stuck_w: float | None = None
        super().__init__(world, rng, slow_reply_s=slow_reply_s)

    # --- measuring --------------------------------------------------------------------------------------

    def _power_w(self) -> float:
        """Return one averaged reading in W, loss and zero corrected; infinity where over-range."""
        if "sensor_unplugged" in self.active:
            raise ScpiError(-241)
        self._finish_zeroing()
        if self._zero_until_s is not None:
            raise ScpiError(-221)
        average = int(self.values["average"])
        self.busy_lab_s += average * _AVERAGE_S
        if self._stuck_w is not None and "stuck_reading" in self.active:
            return self._stuck_w
        power = self._raw_w(min(average, 8))
        self._stuck_w = power
        self._over_range = "over_range" in self.active or power > 1.2 * self._set_range(power)
        if self._over_range:
            return math.inf
        return float((power - self._zero_w) * 10.0 ** (self.values["loss"] / 10.0))

    def _raw_w(self, readings: int) -> float:
        if "beam_blocked" in self.active:
            return _DARK_NOISE_W * float(self.rng.standard_normal()) / math.sqrt(readings)
        read = self.world.read_meter_power
        return sum(read(self._wavelength_nm) for _ in range(readings)) / readings

    def _set_range(self, power_w: float) -> float:
        if self._auto_range:
            ranges = self._head.ranges_w
            self._range_w = next((upper for upper in ranges if abs(power_w) <= upper), ranges[-1])
        return self._range_w

    def _text(self, value: float) -> str:
        return self._over_range_text if math.isinf(value) else self.number(value)

    def _power_text(self) -> str:
        power = self._power_w()
        if math.isinf(power):
            return self._over_range_text
        if self.values["relative"]:
            power -= self.values["reference"]
        if self.values["unit"] == "DBM":
            return self.number(10.0 * math.log10(power / 1e-3)) if power > 0.0 else "-9.90000000E+37"
        return self.number(power)

    def _density_text(self) -> str:
        area_cm2 = math.pi * (self.values["beam"] / 20.0) ** 2
        return self._text(self._power_w() / area_cm2)

    def _current_text(self) -> str:
        if self._head.thermopile:
            raise ScpiError(-241)
        return self._text(self._power_w() * self._head.responsivity)

    def _voltage_text(self) -> str:
        if not self._head.thermopile:
            raise ScpiError(-241)
        return self._text(self._power_w() * self._head.responsivity)

    def _frequency_text(self) -> str:
        self._power_w()
        return self.number(0.0)  # the light is steady

    def _absent_text(self) -> str:
        raise ScpiError(-241)  # these heads measure no energy, and have no temperature sensor

    def _measure(self, function: str) -> str:
        readers: dict[str, Callable[[], str]] = {
            "POW": self._power_text,
            "PDEN": self._density_text,
            "CURR": self._current_text,
            "VOLT": self._voltage_text,
            "FREQ": self._frequency_text,
        }
        self._function = function
        self._fetched = readers.get(function, self._absent_text)()
        return self._fetched

    @scpi("MEASure[:SCALar][:POWer]?")
    def _measure_power(self) -> str:
        return self._measure("POW")

    @scpi("MEASure[:SCALar]:PDENsity?")
    def _measure_density(self) -> str:
        return self._measure("PDEN")

    @scpi("MEASure[:SCALar]:CURRent[:DC]?")
    def _measure_current(self) -> str:
        return self._measure("CURR")

    @scpi("MEASure[:SCALar]:VOLTage[:DC]?")
    def _measure_voltage(self) -> str:
        return self._measure("VOLT")

    @scpi("MEASure[:SCALar]:FREQuency?")
    def _measure_frequency(self) -> str:
        return self._measure("FREQ")

    @scpi("MEASure[:SCALar]:TEMPerature?", "MEASure[:SCALar]:ENERgy?", "MEASure[:SCALar]:RESistance?")
    def _measure_absent(self) -> str:
        return self._absent_text()

    @scpi("CONFigure[:SCALar][:POWer]")
    def _configure(self) -> None:
        self._function = "POW"

    @scpi("CONFigure[:SCALar]:PDENsity")
    def _configure_density(self) -> None:
        self._function = "PDEN"

    @scpi("CONFigure[:SCALar]:CURRent[:DC]")
    def _configure_current(self) -> None:
        self._function = "CURR"

    @scpi("CONFigure?")
    def _configured(self) -> str:
        return self._function

    @scpi("INITiate[:IMMediate]")
    def _initiate(self) -> None:
        self._measure(self._function)

    @scpi("FETCh?")
    def _fetch(self) -> str:
        if self._fetched is None:
            raise ScpiError(-230)
        return self._fetched

    @scpi("FETCh:STATe?")
    def _fetch_state(self) -> str:
        return "0" if self._fetched is None else "1"

    @scpi("READ?")
    def _read(self) -> str:
        return self._measure(self._function)

    @scpi("ABORt")
    def _abort(self) -> None:
        return

    # --- correction, range ------------------------------------------------------------------------------

    @scpi("[SENSe:]CORRection:WAVelength")
    def _wavelength(self, text: str) -> None:
        head = self._head
        wanted = read_limited(text, -math.inf, math.inf, head.default_nm, "NM")
        self._wavelength_nm = min(max(wanted, head.low_nm), head.high_nm)  # the maker coerces, see above

    @scpi("[SENSe:]CORRection:WAVelength?")
    def _wavelength_query(self, which: str | None = None) -> str:
        head = self._head
        return self._limit_or(which, self._wavelength_nm, head.low_nm, head.high_nm, head.default_nm)

    @scpi("[SENSe:]CORRection:POWer[:PDIode][:RESPonse]?")
    def _responsivity(self) -> str:
        return self.number(self._head.responsivity)

    @scpi("[SENSe:]POWer[:DC]:RANGe[:UPPer]")
    def _range(self, text: str) -> None:
        ranges = self._head.ranges_w
        wanted = read_limited(text, 0.0, ranges[-1], ranges[-1], "W")
        self._range_w = next(upper for upper in ranges if wanted <= upper)
        self._auto_range = False

    @scpi("[SENSe:]POWer[:DC]:RANGe[:UPPer]?")
    def _range_query(self, which: str | None = None) -> str:
        ranges = self._head.ranges_w
        if which is not None and which.upper() == "AUTO":
            return ",".join(self.number(upper) for upper in ranges)
        return self._limit_or(which, self._range_w, ranges[0], ranges[-1], ranges[-1])

    @scpi("[SENSe:]POWer[:DC]:RANGe:AUTO")
    def _auto(self, text: str) -> None:
        self._auto_range = read_switch(text)

    @scpi("[SENSe:]POWer[:DC]:RANGe:AUTO?")
    def _auto_query(self) -> str:
        return "1" if self._auto_range else "0"

    def _limit_or(self, which: str | None, value: float, low: float, high: float, default: float) -> str:
        found = value if which is None else extreme(which, low, high, default)
        if found is None:
            raise ScpiError(-224)
        return self.number(found)

    # --- dark zero --------------------------------------------------------------------------------------

    @scpi("[SENSe:]CORRection:COLLect:ZERO[:INITiate]")
    def _zero(self) -> None:
        if "sensor_unplugged" in self.active:
            raise ScpiError(-241)
        self._zero_until_s = self.world.time_s + _ZEROING_S
        self.due_s = self._zero_until_s

    @scpi("[SENSe:]CORRection:COLLect:ZERO:ABORt")
    def _zero_abort(self) -> None:
        self._zero_until_s = None

    @scpi("[SENSe:]CORRection:COLLect:ZERO:STATe?")
    def _zero_state(self) -> str:
        self._finish_zeroing()
        return "0" if self._zero_until_s is None else "1"

    @scpi("[SENSe:]CORRection:COLLect:ZERO:MAGNitude?")
    def _zero_magnitude(self) -> str:
        self._finish_zeroing()
        return self.number(self._zero_w)

    def _finish_zeroing(self) -> None:
        if self._zero_until_s is None or self.world.time_s < self._zero_until_s:
            return
        self._zero_until_s = None
        dark = self._raw_w(8)
        if abs(dark) > 0.01 * self._head.ranges_w[-1]:
            self.errors.push(ScpiError(-221))  # the head is not covered
        else:
            self._zero_w = dark

    # --- the rest ---------------------------------------------------------------------------------------

    @scpi("SYSTem:SENSor:IDN?")
    def _head_identity(self) -> str:
        if "sensor_unplugged" in self.active:
            return "no sensor,no sensor,no sensor,0,0,0"
        return self._head.identity

    @scpi("SYSTem:ERRor:COUNt?")
    def _error_count(self) -> str:
        return self.integer(len(self.errors))

    @scpi("SYSTem:BEEPer[:IMMediate]")
    def _beep(self) -> None:
        return

    @scpi("SYSTem:LFRequency")
    def _line_frequency(self, text: str) -> None:
        read_word(text, "50", "60")

    @scpi("SYSTem:LFRequency?")
    def _line_frequency_query(self) -> str:
        return "50"

    def reset(self) -> None:
        """Carry out `*RST`: all settings, the wavelength too, go to their defaults; the error queue stays."""
        super().reset()
        self._wavelength_nm = self._head.default_nm
        self._auto_range = True
        self._range_w = self._head.ranges_w[-1]
        self._zero_w = 0.0
        self._zero_until_s = None
        self._function = "POW"
        self._fetched = None
        self._over_range = False

    def tick(self) -> None:
        """Finish a dark zero whose time has come."""
        self._finish_zeroing()
        super().tick()
        if self._zero_until_s is not None:
            self.due_s = self._zero_until_s

    def fault_changed(self, name: str, on: bool) -> None:
        """Forget what was measured when the head comes off."""
        super().fault_changed(name, on)
        if name in {"sensor_unplugged", "over_range"}:
            self._fetched = None
            self._over_range = on and name == "over_range"
            self.message_done()

    def condition(self, group: str) -> int:
        """Return a condition register."""
        if group == "operation":
            word = 0 if "sensor_unplugged" in self.active else _CONNECTED
            word |= _ZEROING | _MEASURING if self._zero_until_s is not None else 0
            return word | (_READY if self._fetched is not None else 0)
        if group == "questionable":
            return 8 if self._over_range else 0
        return 0
