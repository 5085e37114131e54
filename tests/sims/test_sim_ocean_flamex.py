"""The simulated Flame-X: its bytes against the protocol sheet's vectors, its state, its faults, and a stock client."""

import hashlib
import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolab.simulation import SimulationHandle, start_server
from sims.instruments.base import Reply, Session
from sims.instruments.ocean_flamex import FLAMEX_FAULTS, OceanFlameXSimulator
from sims.testing import StillWorld

ZEROS16 = "00" * 16
COEFFICIENTS = (345.0, 0.46, -1.25e-5, -1e-9)


def vector(flags: str, error: str, kind: str, length: str, immediate: str) -> bytes:
    """Return a frame of 64 bytes spelled as in the protocol notes (hex, checksum type 0)."""
    text = f"c1c0 0011 {flags} {error} {kind} 00000000 000000000000 00 {length} {immediate.ljust(32, '0')} 14000000"
    return bytes.fromhex(text + ZEROS16 + "c5c4c3c2")


SET_100_MS = vector("0400", "0000", "10001100", "04", "a0860100")


class LampWorld(StillWorld):
    """Dark 1000 counts; with the lamp on, a ramp over the pixels that grows with the exposure."""

    wavelength_coefficients = COEFFICIENTS
    nonlinearity_coefficients = (1.0, -1.5e-7, 0.0, 0.0)

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, bool, int]] = []

    def read_counts(self, integration_s: float, lamp_on: bool, averages: int = 1) -> npt.NDArray[np.float64]:
        self.asked.append((integration_s, lamp_on, averages))
        light = 100.0 * np.arange(2136) / 2135.0 * integration_s / 1e-3 if lamp_on else 0.0
        return np.clip(1000.4 + light * np.ones(2136), 0.0, 65535.0)


class Client:
    """Speaks to one session; has its own idea of frames."""

    def __init__(self, instrument: OceanFlameXSimulator) -> None:
        self.session = instrument.connection()

    def send(self, kind: int, data: bytes = b"", flags: int = 0) -> list[Reply]:
        return self.session.feed(request(kind, data, flags))

    def ask(self, kind: int, data: bytes = b"", flags: int = 0) -> bytes:
        """Return the data of the only reply; AssertionError where it is a NACK."""
        (reply,) = self.send(kind, data, flags)
        return content(reply.data)

    def spectrum(self) -> npt.NDArray[np.float64]:
        return np.frombuffer(self.ask(0x101000), "<u2").astype(np.float64)

    def put(self, kind: int, wire: str, value: int) -> None:
        (reply,) = self.send(kind, struct.pack(wire, value), 4)
        assert reply.data[4:8] == bytes.fromhex("0200 0000"), "not acknowledged"

    def error(self, kind: int, data: bytes = b"", flags: int = 0) -> int:
        (reply,) = self.send(kind, data, flags)
        assert reply.data[4:6] == b"\x09\x00"
        assert len(reply.data) == 64
        return int(reply.data[6])


def request(kind: int, data: bytes = b"", flags: int = 0) -> bytes:
    payload = b"" if len(data) <= 16 else data
    immediate = b"" if payload else data
    head = bytes.fromhex("c1c0 0011") + struct.pack("<HHII", flags, 0, kind, 0) + bytes(7)
    head += bytes([len(immediate)]) + immediate.ljust(16, b"\0") + struct.pack("<I", len(payload) + 20)
    return head + payload + bytes(16) + bytes.fromhex("c5c4c3c2")


def content(frame: bytes) -> bytes:
    assert frame[4:8] == bytes.fromhex("0100 0000"), frame[:64].hex(" ")
    remaining = struct.unpack_from("<I", frame, 40)[0]
    assert len(frame) == 44 + remaining
    return frame[44:-20] or frame[24 : 24 + frame[23]]


@pytest.fixture
def world() -> LampWorld:
    return LampWorld()


@pytest.fixture
def instrument(world: LampWorld) -> OceanFlameXSimulator:
    return OceanFlameXSimulator(world, np.random.default_rng(0), serial_number="FX01234", stale_after_change=0)


@pytest.fixture
def client(instrument: OceanFlameXSimulator) -> Client:
    return Client(instrument)


# --- bytes, against vectors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (
            vector("0000", "0000", "01010000", "00", ""),
            vector("0100", "0000", "01010000", "01", "07"),
        ),
        (SET_100_MS, vector("0200", "0000", "10001100", "00", "")),
        (
            vector("0400", "0000", "10001100", "04", "81969800"),
            vector("0900", "0600", "10001100", "00", ""),
        ),
        (
            vector("0000", "0000", "01011800", "01", "01"),
            vector("0100", "0000", "01011800", "04", "1f85eb3e"),
        ),
        (
            vector("0000", "0000", "efbeadde", "00", ""),
            vector("0900", "0200", "efbeadde", "00", ""),
        ),
    ],
    ids=["serial length", "set 100 ms", "set too long", "coefficient 0.46", "unknown type"],
)
def test_the_vectors_of_the_protocol_notes(client: Client, sent: bytes, received: bytes) -> None:
    assert [reply.data for reply in client.session.feed(sent)] == [received]


def test_a_spectrum_is_4336_bytes_with_the_header_of_the_notes(client: Client) -> None:
    (reply,) = client.send(0x101000)
    head = "c1c0 0011 0100 0000 00101000 00000000 000000000000 00 00" + ZEROS16 + "c4100000"
    assert reply.data[:44] == bytes.fromhex(head)
    assert len(reply.data) == 4336
    assert reply.data[-20:] == bytes(16) + bytes.fromhex("c5c4c3c2")


def test_a_checksum_that_is_asked_for_is_verified_and_given(client: Client) -> None:
    head = bytearray(vector("0000", "0000", "01010000", "00", "")[:44])
    head[22] = 1
    good = bytes(head) + hashlib.md5(head).digest() + bytes.fromhex("c5c4c3c2")
    bad = bytes(head) + bytes(16) + bytes.fromhex("c5c4c3c2")
    (reply,) = client.session.feed(good)
    assert reply.data[44:60].hex() == "2ccc0e1780f0b1a9ee769b0071ca5e7d"
    assert client.session.feed(bad)[0].data[4:8] == bytes.fromhex("0900 0300")
    head[22] = 2
    assert client.session.feed(bytes(head) + good[44:])[0].data[4:8] == bytes.fromhex("0900 0800")


def test_wrong_frames_are_answered_with_what_is_wrong(client: Client) -> None:
    frame = vector("0000", "0000", "01010000", "00", "")
    assert client.session.feed(frame[:2] + b"\x00\x20" + frame[4:])[0].data[6] == 1  # protocol
    assert client.session.feed(frame[:23] + b"\x11" + frame[24:])[0].data[6] == 5  # 17 immediate bytes
    assert client.session.feed(frame[:40] + struct.pack("<I", 19) + frame[44:])[0].data[6] == 5
    assert client.session.feed(frame[:40] + struct.pack("<I", 100_000) + frame[44:])[0].data[6] == 4
    assert client.session.feed(frame[:-1] + b"\x00") == []  # no footer: no frame
    assert len(client.session.feed(b"noise\xc1" + frame)) == 1


@settings(deadline=None)
@given(st.lists(st.integers(1, 63), max_size=12), st.binary(max_size=20).filter(lambda noise: b"\xc1" not in noise))
def test_any_chunking_gives_the_same_replies(cuts: list[int], noise: bytes) -> None:
    def fresh() -> Session:
        return OceanFlameXSimulator(LampWorld(), np.random.default_rng(0)).connection()

    stream = noise + request(0x100) + SET_100_MS + noise + request(0x110000) + request(0x310, b"x" * 40)
    whole = [reply.data for reply in fresh().feed(stream)]
    session, pieces, at = fresh(), [], 0
    for cut in [*cuts, len(stream)]:
        pieces += session.feed(stream[at : at + cut])
        at += cut
    pieces += session.feed(stream[at:])
    assert [reply.data for reply in pieces] == whole
    assert len(whole) == 4


# --- what it knows and what can be set ---------------------------------------------------------------------


def test_identity_and_constants(client: Client) -> None:
    assert client.ask(0x100) == b"FX01234"
    assert struct.unpack("<H", client.ask(0xE00)) == (0x2457,)
    assert client.ask(0xE41) == b"Flame-X"
    assert struct.unpack("<I", client.ask(0x110220)) == (2136,)
    assert [struct.unpack("<I", client.ask(kind))[0] for kind in (0x110001, 0x110002)] == [10, 10_000_000]
    assert struct.unpack("<3f", client.ask(0x400002)) == pytest.approx((34.0, 31.5, 29.8), abs=0.5)
    assert struct.unpack("<f", client.ask(0x400001, b"\x01"))[0] == pytest.approx(31.5, abs=0.5)
    assert client.error(0x400001, b"\x03") == 6
    assert client.error(0x400001) == 5


def test_coefficients(client: Client) -> None:
    assert client.ask(0x180100) == b"\x04"
    found = [struct.unpack("<f", client.ask(0x180101, bytes([n])))[0] for n in range(4)]
    assert found == pytest.approx(COEFFICIENTS, rel=1e-7)
    assert struct.unpack("<f", client.ask(0x181101, b"\x01"))[0] == pytest.approx(-1.5e-7)
    assert client.error(0x180101, b"\x04") == 6
    assert client.error(0x180101) == 5


def test_integration_time_scales_the_counts(client: Client) -> None:
    client.put(0x110410, "<B", 1)
    client.put(0x110010, "<I", 20_000)
    assert struct.unpack("<I", client.ask(0x110000)) == (20_000,)
    short = client.spectrum()
    client.put(0x110010, "<I", 40_000)
    long = client.spectrum()
    assert short[0] == long[0] == 1000  # counts are whole numbers
    assert (long[-1] - 1000) / (short[-1] - 1000) == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(("value", "error"), [(9, 6), (10_000_001, 6), (10, None), (10_000_000, None)])
def test_limits_of_the_integration_time(client: Client, value: int, error: int | None) -> None:
    data = struct.pack("<I", value)
    if error is None:
        assert len(client.send(0x110010, data, 4)) == 1
        assert client.ask(0x110000) == data
    else:
        assert client.error(0x110010, data, 4) == error
        assert struct.unpack("<I", client.ask(0x110000)) == (10_000,)


def test_a_setting_is_acknowledged_only_where_that_is_asked_for(client: Client) -> None:
    assert client.send(0x110010, struct.pack("<I", 30_000)) == []
    assert struct.unpack("<I", client.ask(0x110000)) == (30_000,)
    assert client.error(0x110010, b"\x01\x02", 4) == 5
    assert client.error(0x110010, b"\x01\x02") == 5  # a refusal comes all the same


@pytest.mark.parametrize("put", [0x110410, 0x300012, 0x310011])
def test_each_output_switches_the_lamp(client: Client, put: int) -> None:
    client.put(put, "<B", 1)
    assert client.spectrum()[-1] == 2000
    client.put(put, "<B", 0)
    assert client.spectrum()[-1] == 1000
    assert client.error(put, b"\x02", 4) == 6


def test_averages_and_boxcar(client: Client, world: LampWorld) -> None:
    client.put(0x110410, "<B", 1)
    client.put(0x120010, "<H", 5)
    client.put(0x121010, "<B", 2)
    spectrum = client.spectrum()
    assert world.asked[-1] == (0.01, True, 5)
    assert spectrum[100] == pytest.approx(1000.4 + 1000 * 100 / 2135, abs=0.51)
    assert spectrum.shape == (2136,)


def test_both_spectrum_messages_and_the_long_one(client: Client) -> None:
    assert client.ask(0x101000) == client.ask(0x101100)
    long = client.ask(0x100928)
    assert len(long) == 32 + 4 * 2136
    assert struct.unpack_from("<I", long, 12) == (10_000,)
    assert struct.unpack_from("<I", long, 32) == (1000,)


def test_the_fast_buffer(client: Client) -> None:
    data = client.ask(0x100980, struct.pack("<I", 3))
    assert len(data) == 3 * (64 + 2 * 2136 + 4)
    assert struct.unpack_from("<HHI", data) == (1, 64, 2 * 2136)
    assert struct.unpack_from("<II", data, 16) == (10_000, 1)  # integration time, pixel format
    assert np.all(np.frombuffer(data[64 : 64 + 4272], "<u2") == 1000)
    assert client.error(0x100980, struct.pack("<I", 0)) == 6
    assert client.error(0x100980) == 5
    client.put(0x100810, "<B", 1)
    assert client.ask(0x100800) == b"\x01"
    assert client.send(0x100830, flags=4)[0].data[4] == 2
    assert client.ask(0x100900) == bytes(4)


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_a_triggered_spectrum_waits_for_its_pulse(instrument: OceanFlameXSimulator, client: Client, mode: int) -> None:
    other = Client(instrument)
    client.put(0x110110, "<B", mode)
    assert client.send(0x101000) == []
    assert client.send(0x101000) == []
    assert client.session.waiting
    assert client.ask(0x110100) == bytes([mode])  # everything else is answered meanwhile
    other.send(0x110120)
    assert len(client.session.resume()) == 1
    assert client.session.resume() == []
    other.send(0x110120)
    assert len(client.session.resume()) == 1
    assert not client.session.waiting


def test_mode_off_and_abort(client: Client) -> None:
    client.put(0x110110, "<B", 255)
    assert client.send(0x101000) == []
    assert client.send(0x110120) == []
    client.send(0x100000)
    assert client.send(0x110110, b"\x00") == []
    assert client.send(0x110110, b"\xff") == []
    client.send(0x101000)
    (reply,) = client.send(0x110110, b"\x00")
    assert len(reply.data) == 4336
    assert client.error(0x110110, b"\x07", 4) == 6


def test_device_clear_forgets(client: Client) -> None:
    client.put(0x110110, "<B", 3)
    client.send(0x101000)
    client.session.feed(SET_100_MS[:30])
    client.session.clear()
    assert not client.session.waiting
    assert client.send(0x110120) == []
    assert client.ask(0x101) == b"\x07"


# --- old spectra, exposures, faults ------------------------------------------------------------------------


@pytest.mark.parametrize("stale", [0, 1, 2])
def test_the_first_spectra_after_a_change_are_old(world: LampWorld, stale: int) -> None:
    client = Client(OceanFlameXSimulator(world, np.random.default_rng(0), stale_after_change=stale))
    client.put(0x110010, "<I", 20_000)
    client.put(0x110410, "<B", 1)
    assert [client.spectrum()[-1] for _ in range(4)] == [1000] * stale + [3000] * (4 - stale)
    assert world.asked[:stale] == [(0.01, False, 1)] * stale
    client.put(0x110010, "<I", 20_000)  # no change
    assert client.spectrum()[-1] == 3000
    client.put(0x110010, "<I", 10_000)
    assert [client.spectrum()[-1] for _ in range(3)] == [3000] * stale + [2000] * (3 - stale)


def test_exposures_take_their_time_unless_they_are_credited(instrument: OceanFlameXSimulator, client: Client) -> None:
    client.put(0x110010, "<I", 250_000)
    assert client.send(0x101000)[0].after_wall_s == 0.0
    instrument.wall_s_per_lab_s = 1.0
    assert client.send(0x101000)[0].after_wall_s == pytest.approx(0.25)
    assert client.send(0x100980, struct.pack("<I", 4))[0].after_wall_s == pytest.approx(1.0)
    assert client.send(0x100)[0].after_wall_s == 0.0
    client.put(0x120010, "<H", 3)
    assert client.send(0x101000)[0].after_wall_s == pytest.approx(0.75)


def test_every_fault_has_words_and_unknown_ones_are_refused(instrument: OceanFlameXSimulator) -> None:
    asked_for = {
        "silent", "nack_spectrum", "port_vanishes", "half_frame", "slow_reply", "stale_spectrum",
        "saturated_spectrum", "lamp_drift", "lamp_off", "wrong_checksum",
    }  # fmt: skip
    assert asked_for <= FLAMEX_FAULTS.keys()
    assert all(len(words) > 20 for words in FLAMEX_FAULTS.values())
    with pytest.raises(ValueError, match="did you mean 'lamp_off'"):
        instrument.set_fault("lamp_of", True)


def test_faults_of_the_link(instrument: OceanFlameXSimulator, client: Client) -> None:
    instrument.set_fault("silent", True)
    assert client.send(0x100) == []
    assert client.session.resume() == []
    instrument.set_fault("silent", False)
    instrument.set_fault("half_frame", True)
    assert [len(client.send(kind)[0].data) for kind in (0x100, 0x101000)] == [32, 2168]
    instrument.set_fault("half_frame", False)
    instrument.set_fault("slow_reply", True)
    assert client.send(0x100)[0].after_wall_s == 30.0
    instrument.set_fault("slow_reply", False)
    instrument.set_fault("wrong_checksum", True)
    frame = client.send(0x100)[0].data
    assert frame[22] == 1
    assert frame[-20:-4] != hashlib.md5(frame[:-20]).digest()


def test_a_refused_spectrum(instrument: OceanFlameXSimulator, client: Client) -> None:
    instrument.set_fault("nack_spectrum", True)
    assert client.error(0x101000) == 7
    assert client.ask(0x101) == b"\x07"
    instrument.set_fault("nack_spectrum", False)
    assert client.spectrum().shape == (2136,)


def test_faults_of_the_light(instrument: OceanFlameXSimulator, client: Client, world: LampWorld) -> None:
    client.put(0x110410, "<B", 1)
    instrument.set_fault("lamp_off", True)
    assert client.spectrum()[-1] == 1000
    instrument.set_fault("lamp_off", False)
    instrument.set_fault("lamp_drift", True)
    assert client.spectrum()[-1] == 2000
    world.advance_to(600.0)
    assert client.spectrum()[-1] == 1800  # 2 % a minute
    world.advance_to(1e5)
    assert client.spectrum()[-1] == 1500
    instrument.set_fault("lamp_drift", False)
    instrument.set_fault("saturated_spectrum", True)
    client.put(0x110010, "<I", 100_000)
    spectrum = client.spectrum()
    assert np.count_nonzero(spectrum == 65535) > 400
    assert spectrum[0] == 1000


def test_more_old_spectra_than_a_careful_client_expects(instrument: OceanFlameXSimulator, client: Client) -> None:
    instrument.set_fault("stale_spectrum", True)
    client.put(0x110410, "<B", 1)
    assert [client.spectrum()[-1] for _ in range(4)] == [1000, 1000, 1000, 2000]


def test_the_same_seed_gives_the_same_bytes() -> None:
    def story() -> list[bytes]:
        client = Client(OceanFlameXSimulator(LampWorld(), np.random.default_rng(5)))
        return [client.ask(0x400002), client.ask(0x101000), client.ask(0x400002)]

    assert story() == story()


# --- proof of faith ----------------------------------------------------------------------------------------

STOCK_CLIENT = """
import json, sys, time
import seabreeze
seabreeze.use("cseabreeze")
from seabreeze.cseabreeze import SeaBreezeAPI
api = SeaBreezeAPI()
assert api.add_ipv4_device_location(b"FlameX", b"127.0.0.1", int(sys.argv[1]))
(device,) = api.list_devices()
from seabreeze.spectrometers import Spectrometer
spectrometer = Spectrometer(device)
said = {"serial": spectrometer.serial_number, "model": spectrometer.model, "pixels": spectrometer.pixels}
said["wavelengths"] = list(spectrometer.wavelengths())
def means():
    start = time.perf_counter()
    first = spectrometer.intensities()
    elapsed = time.perf_counter() - start
    return [first.mean(), spectrometer.intensities().mean(), elapsed]
spectrometer.integration_time_micros(20_000)
said["dark"] = means()
spectrometer.f.strobe_lamp.enable_lamp(True)
said["light"] = means()
spectrometer.integration_time_micros(40_000)
said["longer"] = means()
said["temperatures"] = list(spectrometer.f.temperature.temperature_get_all())
said["fast"] = [len(part) for part in spectrometer.f.spectrometer.get_fast_buffer_spectrum(3)]
spectrometer.close()
print(json.dumps(said))
"""


@pytest.fixture
def served() -> Iterator[Callable[[float | str], SimulationHandle]]:
    handles: list[SimulationHandle] = []

    def start(speed: float | str) -> SimulationHandle:
        handles.append(start_server(speed=speed, drivers={"spectrometer": "ocean_flamex"}))
        return handles[-1]

    yield start
    for handle in handles:
        handle.close()


@pytest.mark.parametrize("speed", ["max", 1.0])
def test_stock_seabreeze_opens_it_and_reads_spectra(
    served: Callable[[float | str], SimulationHandle], speed: float | str
) -> None:
    port = served(speed).instruments["spectrometer"]["tcp"].split(":")[1]
    done = subprocess.run(
        [sys.executable, "-c", STOCK_CLIENT, port], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert (said["serial"], said["model"], said["pixels"]) == ("FLMX01234", "FLAMEX", 2136)
    pixel = np.arange(2136)
    expected = 345.0 + pixel * (0.3455 + pixel * (-1.25e-5 + pixel * -1e-9))
    assert np.allclose(said["wavelengths"], expected, rtol=1e-6)
    dark, light, longer = said["dark"][1], said["light"][1], said["longer"][1]
    assert said["light"][0] == pytest.approx(dark, abs=30)  # the first one is an old one
    assert light > dark + 5000
    assert said["longer"][0] == pytest.approx(light, rel=0.01)
    assert (longer - dark) / (light - dark) == pytest.approx(
        2.0, rel=0.1
    )  # bent a little by full scale and non-linearity
    assert len(said["temperatures"]) == 3
    assert len(said["fast"]) == 3
    if speed == 1.0:
        assert 0.018 < said["light"][2] < 2.0
