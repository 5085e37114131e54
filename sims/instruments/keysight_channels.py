"""What one channel of a 34970A is set to, what its thermocouple gives, and how a reading is written."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sims.instruments.scpi_values import ScpiError, read_channel_list, signed_exponent

OVERLOAD = 9.9e37
LINE_HZ = 50.0

SENSITIVITY_UV_PER_K: Mapping[str, float] = {
    "B": 0.2, "E": 60.9, "J": 51.7, "K": 40.5, "N": 26.5, "R": 6.0, "S": 6.0, "T": 40.7,
}  # fmt: skip
"""Thermocouple sensitivity about 25 degC, uV/K (ITS-90). All probes of the bench are type K."""

NPLC_NOISE_K: Mapping[float, float] = {
    0.02: 0.25, 0.2: 0.03, 1.0: 0.02, 2.0: 0.014, 10.0: 0.005, 20.0: 0.0035, 100.0: 0.0016, 200.0: 0.0011,
}  # fmt: skip
"""Noise of a type K reading by integration time in power-line cycles, K rms: the settings that exist."""

LIST_ERRORS: Mapping[int, str] = {
    111: "Channel list: slot number out of range",
    112: "Channel list: channel number out of range",
    113: "Channel list: empty scan list",
    251: "Unsupported temperature transducer type",
    261: "Not able to execute while scan initiated",
    281: "Not able to perform on more than one channel",
    302: "Channel list: no module in slot",
    307: "Channel list: bad reference channel",
    308: "Channel list: channel not able to perform requested operation",
    309: "Channel list: bad channel list format",
}

_EPOCH = datetime(2025, 1, 6, 9, 0, 0)  # the instrument's own clock knows no zone; fixed for repeatability


def refused(code: int) -> ScpiError:
    """Return the instrument's own (positive) error with its text."""
    return ScpiError(code, LIST_ERRORS[code])


@dataclass
class ChannelSetup:
    """The configuration of one channel, as after `*RST`: volts, and a junction reference fixed at 0 degC."""

    temperature: bool = False
    kind: str = "J"
    reference: str = "FIX"
    fixed_c: float = 0.0
    check: bool = False
    nplc: float = 1.0
    unit: str = "C"
    delay_s: float = 0.0
    auto_delay: bool = True
    upper: float = 0.0
    upper_on: bool = False
    lower: float = 0.0
    lower_on: bool = False
    alarm_line: int = 1

    def configure(self, temperature: bool, kind: str = "J") -> None:
        """Carry out the part of CONFigure that concerns the channel. The reference junction stays as it is."""
        self.temperature = temperature
        self.kind = kind
        self.nplc = 1.0
        self.unit = "C"

    @property
    def unit_text(self) -> str:
        """The unit as a reading shows it."""
        return self.unit if self.temperature else "VDC"

    def seconds(self) -> float:
        """Return how long one reading takes, s: relay and settling, integration, once more for the check."""
        integration = self.nplc / LINE_HZ + 0.001
        settle = 0.004 if self.auto_delay else self.delay_s
        return settle + integration * (2.0 if self.check and self.temperature else 1.0)

    def shown(self, emf_uv: float, block_c: float) -> float:
        """Return the reading for this voltage at the terminals: degC, K or degF, or V."""
        if not self.temperature:
            return emf_uv * 1e-6
        reference_c = self.fixed_c if self.reference == "FIX" else block_c
        return self.in_unit(reference_c + emf_uv / SENSITIVITY_UV_PER_K[self.kind])

    def in_unit(self, celsius: float) -> float:
        """Return a temperature in the channel's unit."""
        if self.unit == "K":
            return celsius + 273.15
        return celsius * 1.8 + 32.0 if self.unit == "F" else celsius

    def alarm(self, value: float) -> int:
        """Return 0, 1 (below the lower limit) or 2 (above the upper limit)."""
        if self.upper_on and value > self.upper:
            return 2
        return 1 if self.lower_on and value < self.lower else 0


@dataclass(slots=True)
class Reading:
    """One stored reading."""

    value: float
    unit: str
    time_s: float
    """Lab time, s."""
    channel: int
    alarm: int


@dataclass
class ReadingFormat:
    """Which fields readings carry besides the value; all off after reset and CONFigure."""

    unit: bool = False
    time: bool = False
    channel: bool = False
    alarm: bool = False
    absolute: bool = False

    def text(self, reading: Reading, start_s: float) -> str:
        """Return a reading with the fields that are on."""
        text = signed_exponent(reading.value)
        if not (self.unit or self.time or self.channel or self.alarm):
            return text
        if self.unit:
            text += f" {reading.unit}"
        fields = [text]
        if self.time:
            relative = f"{reading.time_s - start_s:013.3f}"
            fields.append(clock_text(reading.time_s) if self.absolute else relative)
        if self.channel:
            fields.append(str(reading.channel))
        if self.alarm:
            fields.append(str(reading.alarm))
        return ",".join(fields)


FULL_FORMAT = ReadingFormat(unit=True, time=True, channel=True, alarm=True, absolute=True)


def clock_text(time_s: float) -> str:
    """Return the instrument's clock at this lab time: ``2025,01,06,09,00,23.000``."""
    moment = _EPOCH + timedelta(seconds=time_s)
    return f"{moment:%Y,%m,%d,%H,%M,%S}.{moment.microsecond // 1000:03d}"


@dataclass
class Slots:
    """The modules: their channels that measure voltages and temperatures, and those that only measure current."""

    voltage: Sequence[int] = field(default_factory=lambda: range(101, 121))
    current: Sequence[int] = (121, 122)

    def channels(self, text: str) -> list[int]:
        """Return the channels of a list, ascending, each once; an instrument error for what does not exist."""
        try:
            ranges = read_channel_list(text)
        except ScpiError:
            raise refused(309) from None
        found: set[int] = set()
        for first, last in ranges:
            for end in (first, last):
                self._check(end)
            low, high = min(first, last), max(first, last)
            found.update(channel for channel in self.voltage if low <= channel <= high)
            if first == last and first in self.current:
                raise refused(308)
        return sorted(found)

    def _check(self, channel: int) -> None:
        if channel in self.voltage or channel in self.current:
            return
        if not 1 <= channel // 100 <= 3:
            raise refused(111)
        installed = {known // 100 for known in (*self.voltage, *self.current)}
        raise refused(112 if channel // 100 in installed else 302)


def listed(channels: Iterable[int]) -> str:
    """Return channels as a list: ``(@101,102)``."""
    return "(@" + ",".join(str(channel) for channel in channels) + ")"


def nearest_nplc(seconds: float) -> float:
    """Return the integration setting nearest to an aperture in seconds."""
    return min(NPLC_NOISE_K, key=lambda nplc: abs(math.log(nplc / (seconds * LINE_HZ))))
