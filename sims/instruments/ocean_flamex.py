"""Ocean Insight Flame-X spectrometer over TCP, Ocean Binary Protocol: what stock python-seabreeze talks to.

What it does as hardware does: free-running exposures, so that the first spectrum after a change of integration
time or lamp still has the old exposure (and comes as quickly as the old one); a setting that is refused is NACKed,
which the stock client ignores; a spectrum that is NACKed hangs the stock client for ever.

Deviations from hardware. The lamp is wired to all three outputs at once (lamp enable, single and continuous
strobe): it is on while any of them is. All 2136 pixels see light: the dark ranges are empty. The trigger modes wait
for the simulated pulse (message 0x110120), since there is no trigger input. Choices where nothing is documented: the
metadata of message 0x100928 beyond its first fields, the checksum behind each fast-buffer spectrum, and the depth
of the buffers. A held spectrum is dropped by an abort on its own connection.
"""

import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sims.instruments.base import LINK_FAULTS, BenchWorld, InstrumentSimulator, Reply
from sims.instruments.obp import Message, ObpError, RejectedError, acknowledgement, answer, refusal
from sims.instruments.obp_session import ObpSession

N_PIXELS = 2136
FULL_SCALE = 65535
SHORTEST_US, LONGEST_US = 10, 10_000_000
NORMAL, LEVEL, SYNCHRONISED, EDGE, OFF = 0, 1, 2, 3, 255
"""Trigger modes as stock cseabreeze counts them; pyseabreeze names 1 and 3 the other way round."""

FLAMEX_FAULTS: Mapping[str, str] = {
    **{
        name: LINK_FAULTS[name]
        for name in ("silent", "slow_reply", "dropped_reply", "fragmented_reply", "port_vanishes")
    },
    "nack_spectrum": "refuses every spectrum (NACK, device not ready); the stock client then waits for ever",
    "half_frame": "every reply is cut in the middle of its frame and the rest never comes",
    "wrong_checksum": "every reply carries a checksum that does not fit its bytes",
    "stale_spectrum": "three more spectra than usual are old ones after a change of integration time or lamp",
    "saturated_spectrum": "the light is eight times too strong: the brightest pixels stand at full scale",
    "lamp_drift": "the lamp fades by 2 % a minute from now on, down to half its light",
    "lamp_off": "the lamp has failed: it stays dark whatever the strobe output says",
}

_STALE_EXTRA = 3
_TOO_BRIGHT = 8.0
_FADING_PER_S, _FADED = 0.02 / 60.0, 0.5
_BOARD_C = (34.0, 31.5, 29.8)

_ABORT, _TRIGGER_PULSE = 0x00100000, 0x00110120
_SPECTRUM, _RAW_SPECTRUM = 0x00101000, 0x00101100
_FAST_BUFFER, _LONG_SPECTRUM = 0x00100980, 0x00100928
SPECTRA = frozenset({_SPECTRUM, _RAW_SPECTRUM, _FAST_BUFFER, _LONG_SPECTRUM})
_INTEGRATION, _TRIGGER_MODE, _LAMP = "integration_us", "trigger_mode", "lamp"
_METADATA_VERSION = 1
_STROBES = ("single_strobe", "continuous_strobe")


class SpectrometerWorld(BenchWorld, Protocol):
    """What this instrument needs of the world beyond what all of them need."""

    @property
    def wavelength_coefficients(self) -> Sequence[float]:
        """Cubic polynomial from pixel to nm, lowest power first."""

    @property
    def nonlinearity_coefficients(self) -> Sequence[float]:
        """Polynomial of counts by which counts are divided, lowest power first."""


class Setting(NamedTuple):
    """A number in the instrument: messages that get and set it, its wire format, its limits."""

    get: int
    put: int
    wire: str
    low: int
    high: int
    default: int


SETTINGS: Mapping[str, Setting] = {
    _INTEGRATION: Setting(0x00110000, 0x00110010, "<I", SHORTEST_US, LONGEST_US, 10_000),
    _TRIGGER_MODE: Setting(0x00110100, 0x00110110, "<B", NORMAL, OFF, NORMAL),
    _LAMP: Setting(0x00110400, 0x00110410, "<B", 0, 1, 0),
    "single_strobe_delay_us": Setting(0x00300000, 0x00300010, "<I", 0, 335_500, 0),
    "single_strobe_width_us": Setting(0x00300001, 0x00300011, "<I", 1, LONGEST_US, 100),
    "single_strobe": Setting(0x00300002, 0x00300012, "<B", 0, 1, 0),
    "continuous_strobe_period_us": Setting(0x00310000, 0x00310010, "<I", 2, LONGEST_US, 1000),
    "continuous_strobe": Setting(0x00310001, 0x00310011, "<B", 0, 1, 0),
    "continuous_strobe_width_us": Setting(0x00310005, 0x00310015, "<I", 1, LONGEST_US, 500),
    "acquisition_delay_us": Setting(0x00110500, 0x00110510, "<I", 0, 335_500, 0),
    "averages": Setting(0x00120000, 0x00120010, "<H", 1, 5000, 1),
    "boxcar": Setting(0x00121000, 0x00121010, "<B", 0, 15, 0),
    "buffering": Setting(0x00100800, 0x00100810, "<B", 0, 1, 0),
    "buffer_size": Setting(0x00100822, 0x00100832, "<I", 1, 50_000, 50_000),
    "back_to_back": Setting(0x00110102, 0x00110112, "<I", 1, 50_000, 1),
    "baud": Setting(0x00000800, 0x00000810, "<I", 9600, 921_600, 115_200),
}


class Exposure(NamedTuple):
    """What the detector was doing while a spectrum was collected."""

    integration_us: int
    lamp_on: bool


class OceanFlameXSimulator(InstrumentSimulator):
    """Flame-X.

    Parameters
    ----------
    world : SpectrometerWorld
        Gives the counts.
    rng : numpy.random.Generator
        Noise of the board temperatures.
    serial_number : str
        At most 15 characters.
    stale_after_change : int
        How many spectra after a change of integration time or lamp still have the old exposure.
    slow_reply_s : float
        Wall time by which ``slow_reply`` delays, s.
    """

    driver = "ocean_flamex"
    role = "spectrometer"
    faults = FLAMEX_FAULTS

    def __init__(
        self,
        world: SpectrometerWorld,
        rng: np.random.Generator,
        *,
        serial_number: str = "FLMX01234",
        stale_after_change: int = 1,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self.detector_world = world
        self.serial_number = serial_number
        self.stale_after_change = stale_after_change
        self.pulses = 0
        """Trigger pulses so far."""
        self.values = {name: setting.default for name, setting in SETTINGS.items()}
        self._getters = {setting.get: name for name, setting in SETTINGS.items()}
        self._setters = {setting.put: name for name, setting in SETTINGS.items()}
        self._stale: deque[Exposure] = deque()
        self._fading_since_s: float | None = None
        self._spectra = 0
        self._fixed = self._constants()
        self._queries: Mapping[int, Callable[[bytes], bytes]] = {
            0x00180101: lambda data: _coefficient(data, world.wavelength_coefficients),
            0x00181101: lambda data: _coefficient(data, world.nonlinearity_coefficients),
            0x00400001: self._temperature,
            0x00400002: lambda data: b"".join(self._temperature(bytes([n])) for n in range(len(_BOARD_C))),
        }

    def connection(self) -> ObpSession:
        """Return a session for a client that has just connected."""
        return ObpSession(self)

    @property
    def free_running(self) -> bool:
        """True where a spectrum waits for no trigger pulse."""
        return self.values[_TRIGGER_MODE] == NORMAL

    @property
    def triggered(self) -> bool:
        """True where a trigger pulse lets a spectrum go (not in mode 'off')."""
        return self.values[_TRIGGER_MODE] != OFF

    @property
    def lamp_on(self) -> bool:
        """True while any output that the lamp is wired to is on."""
        return any(self.values[name] for name in (_LAMP, *_STROBES))

    def is_spectrum(self, message: Message) -> bool:
        """Return True where a message asks for spectra."""
        return message.type in SPECTRA

    def fault_changed(self, name: str, on: bool) -> None:
        """Note when a fault begins that grows with time."""
        if name == "lamp_drift":
            self._fading_since_s = self.world.time_s if on else None

    def spoil(self, reply: Reply) -> list[Reply]:
        """Return what of a reply really leaves the instrument while faults are on."""
        if "half_frame" in self.active:
            reply = Reply(reply.data[: len(reply.data) // 2], reply.after_wall_s, reply.close)
        return super().spoil(reply)

    # --- messages -----------------------------------------------------------------------------------------

    def carry_out(self, message: Message) -> Reply | None:
        """Do what a message asks for and return the reply, or None where none is wanted."""
        spoiled = "wrong_checksum" in self.active
        try:
            if message.error is not None:
                raise RejectedError(message.error)
            if message.type in SPECTRA:
                data, wait_s = self._spectra_for(message)
                return Reply(answer(message, data, spoiled), wait_s * self.wall_s_per_lab_s)
            found = self._ask(message)
        except RejectedError as rejected:
            return Reply(refusal(message, rejected.error))
        if found is not None:
            return Reply(answer(message, found, spoiled))
        return Reply(acknowledgement(message, spoiled)) if message.wants_ack else None

    def _ask(self, message: Message) -> bytes | None:
        """Return the data of a query; None after a setting."""
        kind, data = message.type, message.data
        if kind in self._fixed:
            return self._fixed[kind]
        if kind in self._queries:
            return self._queries[kind](data)
        if kind in self._getters:
            name = self._getters[kind]
            return struct.pack(SETTINGS[name].wire, self.values[name])
        if kind in self._setters:
            self._set(self._setters[kind], data)
        elif kind == _TRIGGER_PULSE:
            self.pulses += 1
        elif kind not in (_ABORT, 0x00100830, 0x00100831, 0x00100902):  # the buffer is always empty: nothing to do
            raise RejectedError(ObpError.UNKNOWN_TYPE)
        return None

    def _set(self, name: str, data: bytes) -> None:
        setting = SETTINGS[name]
        if len(data) != struct.calcsize(setting.wire):
            raise RejectedError(ObpError.LENGTH_MISMATCH)
        (value,) = struct.unpack(setting.wire, data)
        allowed = setting.low <= value <= setting.high
        if name == _TRIGGER_MODE:
            allowed = value in (NORMAL, LEVEL, SYNCHRONISED, EDGE, OFF)
        if not allowed:
            raise RejectedError(ObpError.INVALID_PAYLOAD)
        before, lit = self._present, self.lamp_on
        self.values[name] = value
        if self.lamp_on != lit:
            self.world.set_lamp(self.lamp_on)
        if self._present != before and not self._stale:
            extra = _STALE_EXTRA if "stale_spectrum" in self.active else 0
            self._stale.extend([before] * (self.stale_after_change + extra))

    def _constants(self) -> dict[int, bytes]:
        serial = self.serial_number.encode("ascii")
        world = self.detector_world
        vendor, product = struct.pack("<H", 0x2457), struct.pack("<H", 0x2001)
        return {
            0x00000080: b"\x01",
            0x00000090: struct.pack("<H", 0x0127),
            0x00000100: serial,
            0x00000101: bytes([len(serial)]),
            0x00000200: b"",
            0x00000201: b"\x0f",
            0x00000E00: vendor,
            0x00000E01: product,
            0x00000E20: vendor,
            0x00000E21: product,
            0x00000E11: b"Flame-X",
            0x00000E41: b"Flame-X",
            0x00100820: struct.pack("<I", SETTINGS["buffer_size"].high),
            0x00100900: struct.pack("<I", 0),
            0x00100908: b"\x01",
            0x00101010: struct.pack("<I", FULL_SCALE),
            0x00110001: struct.pack("<I", SHORTEST_US),
            0x00110002: struct.pack("<I", LONGEST_US),
            0x00110003: struct.pack("<I", 1),
            0x00110220: struct.pack("<I", N_PIXELS),
            0x00110221: struct.pack("<II", 0, N_PIXELS - 1),
            0x00110222: b"",
            0x00110223: b"",
            0x00180100: bytes([len(world.wavelength_coefficients)]),
            0x00181100: bytes([len(world.nonlinearity_coefficients)]),
            0x00183100: b"\x00",
            0x00400000: bytes([len(_BOARD_C)]),
        }

    def _temperature(self, data: bytes) -> bytes:
        if len(data) != 1:
            raise RejectedError(ObpError.LENGTH_MISMATCH)
        if data[0] >= len(_BOARD_C):
            raise RejectedError(ObpError.INVALID_PAYLOAD)
        return struct.pack("<f", _BOARD_C[data[0]] + 0.05 * self.rng.standard_normal())

    # --- spectra ------------------------------------------------------------------------------------------

    @property
    def _present(self) -> Exposure:
        return Exposure(self.values[_INTEGRATION], self.lamp_on)

    def _spectra_for(self, message: Message) -> tuple[bytes, float]:
        """Return the data of one reply with spectra, and how long the detector took for them (lab time, s)."""
        if "nack_spectrum" in self.active:
            raise RejectedError(ObpError.NOT_READY)
        if message.type == _FAST_BUFFER:
            return self._fast_buffer(message.data)
        counts, wait_s = self._next_spectrum()
        if message.type != _LONG_SPECTRUM:
            return counts.astype("<u2").tobytes(), wait_s
        head = struct.pack("<IQI", self._spectra, self._microseconds(), self.values[_INTEGRATION])
        return head.ljust(32, b"\x00") + counts.astype("<u4").tobytes(), wait_s

    def _fast_buffer(self, data: bytes) -> tuple[bytes, float]:
        if len(data) != 4:
            raise RejectedError(ObpError.LENGTH_MISMATCH)
        (wanted,) = struct.unpack("<I", data)
        if not 1 <= wanted <= 100:
            raise RejectedError(ObpError.INVALID_PAYLOAD)
        parts, total_s = [], 0.0
        for _ in range(wanted):
            counts, wait_s = self._next_spectrum()
            total_s += wait_s
            now = self._microseconds()
            head = struct.pack(
                "<HHIQIIIIQH", _METADATA_VERSION, 64, 2 * N_PIXELS, now, self.values[_INTEGRATION], 1, self._spectra,
                self._spectra, now, self.values["averages"],
            )  # fmt: skip
            parts.append(head.ljust(64, b"\x00") + counts.astype("<u2").tobytes() + bytes(4))
        return b"".join(parts), total_s

    def _next_spectrum(self) -> tuple[npt.NDArray[np.float64], float]:
        exposure = self._stale.popleft() if self._stale else self._present
        self._spectra += 1
        counts = np.clip(np.rint(self._counts(exposure)), 0, FULL_SCALE)
        return counts, exposure.integration_us * 1e-6 * self.values["averages"]

    def _counts(self, exposure: Exposure) -> npt.NDArray[np.float64]:
        lamp_on = exposure.lamp_on and "lamp_off" not in self.active
        seconds = exposure.integration_us * 1e-6
        if "saturated_spectrum" in self.active:
            seconds *= _TOO_BRIGHT
        averages = self.values["averages"]
        counts = self.world.read_counts(seconds, lamp_on, averages)
        if self._fading_since_s is not None and lamp_on:
            age_s = self.world.time_s - self._fading_since_s
            dark = self.world.read_counts(seconds, False, averages)
            counts = dark + max(_FADED, 1.0 - _FADING_PER_S * age_s) * (counts - dark)
        width = self.values["boxcar"]
        if width:
            kernel = np.full(2 * width + 1, 1.0 / (2 * width + 1))
            counts = np.convolve(np.pad(counts, width, mode="edge"), kernel, "valid")
        return counts

    def _microseconds(self) -> int:
        return round(self.world.time_s * 1e6)


def _coefficient(data: bytes, coefficients: Sequence[float]) -> bytes:
    if len(data) != 1:
        raise RejectedError(ObpError.LENGTH_MISMATCH)
    if data[0] >= len(coefficients):
        raise RejectedError(ObpError.INVALID_PAYLOAD)
    return struct.pack("<f", coefficients[data[0]])
