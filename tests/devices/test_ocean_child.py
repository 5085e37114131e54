"""What the spectrometer's driver is made of: frames over pipes, the child that always ends, the first word, judging."""

import contextlib
import hashlib
import io
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.ocean_child import COMMAND, ChildError, SpectrometerChild
from devices.ocean_frames import read_frame, write_frame
from devices.ocean_light import light_changed
from devices.ocean_probe import ProbeError, judge, probe, query
from devices.ocean_session import OceanSession
from devices.ocean_settings import OceanSettings
from devices.ocean_worker import Worker
from nanolab.errors import DeviceError

REPLY = bytes.fromhex(
    "c1c0001101000000010100000000000000000000000001010700000000000000000000000000000014000000"
    "2ccc0e1780f0b1a9ee769b0071ca5e7dc5c4c3c2"
)
"""Serial number length 7 with its MD5 checksum, from the protocol notes."""

# --- frames ------------------------------------------------------------------------------------------------

floats = st.floats(allow_nan=False, width=64)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.lists(floats, max_size=9), max_size=3), st.integers(0, 400))
def test_frames_survive_and_a_cut_one_is_an_end(arrays: dict[str, list[float]], cut: int) -> None:
    stream = io.BytesIO()
    write_frame(stream, {"op": "µ"}, {name: np.array(values) for name, values in arrays.items()})
    whole = stream.getvalue()
    found = read_frame(io.BytesIO(whole))
    assert found is not None
    assert found[0] == {"op": "µ"}
    assert {name: array.tolist() for name, array in found[1].items()} == arrays
    assert all(array.flags.writeable for array in found[1].values())
    assert read_frame(io.BytesIO(whole[: min(cut, len(whole) - 1)])) is None


# --- the first word ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def peer(*replies: bytes | None) -> Iterator[int]:
    """Accept as many connections as there are replies; answer 64 bytes with each (None: hold it, say nothing)."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)
    held = []

    def serve() -> None:
        for reply in replies:
            with contextlib.suppress(OSError):
                link, _ = listener.accept()
                held.append(link)
                if reply is not None:
                    link.settimeout(2)
                    link.recv(64)
                    link.sendall(reply)
                    link.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()
        for link in held:
            link.close()


def test_the_query_is_a_frame_of_the_protocol() -> None:
    head = bytes.fromhex("c1c0 0011 0000 0000 00010000 00000000 000000000000 01 00" + "00" * 16 + "14000000")
    assert query() == head + hashlib.md5(head).digest() + bytes.fromhex("c5c4c3c2")


def test_a_sound_reply_is_accepted_even_a_refusal() -> None:
    judge(REPLY)
    judge(REPLY[:22] + b"\x00" + REPLY[23:44] + bytes(16) + REPLY[60:])  # no checksum
    with peer(REPLY) as port:
        probe("127.0.0.1", port, 2.0)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (REPLY[:44] + bytes(16) + REPLY[60:], "checksum of its reply is wrong"),
        (REPLY[:-1] + b"!", "not in the Ocean Binary Protocol"),
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "not in the Ocean Binary Protocol",
        ),
        (REPLY[:10], "closed the connection before it had answered"),
    ],
)
def test_replies_that_no_spectrometer_gives(reply: bytes, words: str) -> None:
    with peer(reply) as port, pytest.raises(ProbeError, match=words):
        probe("127.0.0.1", port, 2.0)


def test_silence_and_absence() -> None:
    with peer(None) as port, pytest.raises(ProbeError, match="connected, but silent"):
        probe("127.0.0.1", port, 0.1)
    with pytest.raises(ProbeError, match="refuses the connection"):
        probe("127.0.0.1", port, 0.1)
    with pytest.raises(ProbeError, match="cannot be reached"):
        probe("255.255.255.255", 9, 0.1)


# --- the child ---------------------------------------------------------------------------------------------


def test_a_child_that_does_not_come_up() -> None:
    with pytest.raises(ChildError, match="ended with exit code 3; its last words: no numpy here") as caught:
        SpectrometerChild([sys.executable, "-c", "import sys; sys.stderr.write('no numpy here\\n'); sys.exit(3)"])
    assert caught.value.gone
    with pytest.raises(ChildError, match=r"no answer to 'start' within 0.2 s") as caught:
        SpectrometerChild([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)
    assert caught.value.hung
    with pytest.raises(FileNotFoundError):
        SpectrometerChild(["/no/such/python"])


def test_a_child_answers_what_it_cannot_do_and_ends_in_order() -> None:
    child = SpectrometerChild()
    with pytest.raises(ChildError, match="seabreeze: KeyError"):
        child.request("dance", 5.0)
    with pytest.raises(ChildError, match="AttributeError"):
        child.request("acquire", 5.0, discard=0, count=1)  # nothing is open
    child.request("close", 5.0)
    child.close(polite_s=5.0)
    assert not child.alive
    child.close()
    with pytest.raises(ChildError, match="was closed"):
        child.request("close", 1.0)


def test_a_request_to_a_child_that_has_gone() -> None:
    child = SpectrometerChild()
    child.kill()
    with pytest.raises(ChildError, match="ended by signal 9") as caught:
        for _ in range(50):
            child.request("temperatures", 5.0)
    assert caught.value.gone
    child.close()


def open_request(port: int) -> dict[str, Any]:
    return {
        "address": f"tcp://127.0.0.1:{port}",
        "model": "FlameX",
        "backend": "cseabreeze",
        "serial": None,
        "share_s": 1.0,
    }


def test_seabreeze_that_hangs_while_opening_is_killed_at_the_deadline() -> None:
    # one sound answer to the first word, then silence: seabreeze then holds its interpreter
    with peer(REPLY, None) as port:
        child = SpectrometerChild()
        start = time.monotonic()
        with pytest.raises(ChildError, match="no answer to 'open' within 1 s") as caught:
            child.request("open", 1.0, **open_request(port))
        assert time.monotonic() - start < 2.0
        assert caught.value.hung
        child.close()
        assert not child.alive


@pytest.mark.parametrize("hung", [False, True])
def test_a_child_without_a_parent_ends_by_itself(hung: bool) -> None:
    """Also where seabreeze holds the interpreter, so that no thread of the child can see its stdin close."""
    with peer(REPLY, None) as port:
        process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdin is not None
        assert process.stdout is not None
        assert read_frame(process.stdout) == ({"ready": True}, {})
        if hung:
            write_frame(process.stdin, {"op": "open", "deadline_s": 0.5, "with": open_request(port)})
        else:
            socket.create_connection(("127.0.0.1", port)).close()
            socket.create_connection(("127.0.0.1", port)).close()
        process.stdin.close()
        assert process.wait(10) == (1 if hung else 0)
        process.stdout.close()


class FakeSpectrometer:
    """What seabreeze gives, as far as the worker asks for it."""

    def __init__(self, exposures: list[list[float]]) -> None:
        self._exposures = [np.array(exposure) for exposure in exposures]
        self.f = self

    def intensities(self) -> npt.NDArray[np.float64]:
        return self._exposures.pop(0)


def test_the_worker_averages_after_discarding() -> None:
    worker = Worker()
    worker._spectrometer = FakeSpectrometer([[9.0, 9.0], [1.0, 10.0], [3.0, 10.0], [5.0, 40.0]])
    head, arrays = worker.answer({"op": "acquire", "with": {"discard": 1, "count": 3}})
    assert len(head["seconds"]) == 3
    assert arrays["mean"].tolist() == [3.0, 20.0]
    assert arrays["peak"].tolist() == [5.0, 40.0]
    assert arrays["spread"].tolist() == pytest.approx([2.0, np.sqrt(300.0)])
    assert worker.answer({"op": "temperatures", "with": {}}) == ({"temperatures_c": []}, {})


def test_a_missing_library_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "seabreeze", None)
    head, _ = Worker().answer({"op": "open", "with": {**open_request(1), "address": "usb"}})
    assert head["error"].startswith("python-seabreeze cannot be imported")


# --- the session, with a child that is told what to be -------------------------------------------------------


class FakeChild:
    """Answers as a child does; its class attributes say how."""

    serial = "A1"
    wavelengths = (400.0, 500.0)
    strobe = True
    requests: list[tuple[str, float, dict[str, Any]]]

    def __init__(self) -> None:
        self.alive = True
        self.pid = 1
        type(self).requests = []

    def request(self, op: str, deadline_s: float, **arguments: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        self.requests.append((op, deadline_s, arguments))
        if op == "open":
            head = {
                "model": "FX", "serial": self.serial, "firmware": "1", "limits_us": [10, 10_000_000],
                "full_scale": 65535.0, "strobe": self.strobe,
            }  # fmt: skip
            return head, {"wavelengths": np.array(self.wavelengths), "nonlinearity": np.zeros(0)}
        if op == "acquire":
            flat = np.ones(2)
            return {"seconds": [0.02]}, {"mean": flat, "peak": flat, "spread": flat}
        return {}, {}

    def kill(self) -> None:
        self.alive = False

    def close(self, polite_s: float = 0.0) -> None:
        self.alive = False


@pytest.fixture
def fake() -> type[FakeChild]:
    return type("OneFake", (FakeChild,), {})


def session(fake: type[FakeChild], **settings: Any) -> OceanSession:
    return OceanSession("spectrometer", "usb", OceanSettings(**settings), fake)  # type: ignore[arg-type]  # a stand-in


def test_after_a_restart_settings_are_applied_anew(fake: type[FakeChild]) -> None:
    own = session(fake)
    own.ready()
    own.set_integration(0.05)
    own.switch_lamp(True)
    own.acquire(1)
    own.kill()
    own.ready()
    assert [(op, arguments) for op, _, arguments in fake.requests][1:] == [
        ("integration", {"microseconds": 50_000}),
        ("lamp", {"on": True}),
    ]
    own.acquire(3)
    assert fake.requests[-1][2] == {"discard": 1, "count": 3}
    own.acquire(3)
    assert fake.requests[-1][2] == {"discard": 0, "count": 3}


def test_the_deadline_covers_the_exposures_old_ones_too(fake: type[FakeChild]) -> None:
    own = session(fake, integration_time="4 s", deadline="1 s", discard_after_change=2)
    own.ready()
    own.set_integration(0.5)
    own.acquire(3)
    assert fake.requests[-1][1] == pytest.approx(1.0 + 2 * 4.0 + 3 * 0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"serial": "B2"}, "another spectrometer answers now: serial number B2, it was A1"),
        ({"wavelengths": (400.0, 500.1)}, "came back with another wavelength calibration"),
    ],
)
def test_after_a_restart_it_must_be_the_same_spectrometer(
    fake: type[FakeChild], change: dict[str, Any], words: str
) -> None:
    own = session(fake)
    own.ready()
    own.kill()
    for name, value in change.items():
        setattr(fake, name, value)
    for _ in range(2):
        with pytest.raises(DeviceError, match=words):
            own.ready()
        assert not own.alive


def test_a_model_without_a_strobe_output(fake: type[FakeChild]) -> None:
    fake.strobe = False
    with pytest.raises(DeviceError, match=r'no strobe output for a FX.*lamp = "always on"'):
        session(fake).ready()
    own = session(fake, lamp="always on")
    own.ready()
    assert "lamp" not in [op for op, _, _ in fake.requests]
    own.close()
    assert [op for op, _, _ in fake.requests][-1] == "close"


def test_a_session_that_is_not_open_says_so(fake: type[FakeChild]) -> None:
    with pytest.raises(DeviceError, match="spectrometer: is not connected"):
        session(fake).acquire(1)


# --- judging light -----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([-1, 1]))
def test_noise_alone_is_never_a_change(seed: int, direction: int) -> None:
    rng = np.random.default_rng(seed)
    shape = 1500.0 + 30000.0 * np.exp(-(((np.arange(2136) - 900) / 300.0) ** 2))
    noise = np.sqrt(45.0**2 + shape / 1.25)
    first, second = (shape + noise * rng.standard_normal(2136) for _ in range(2))
    assert not light_changed(first, second, direction)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1.0))
def test_light_of_a_lamp_is_a_change_in_one_direction(seed: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    lamp = strength * 30000.0 * np.exp(-(((np.arange(2136) - 900) / 300.0) ** 2))
    dark = 1500.0 + 45.0 * rng.standard_normal(2136)
    light = 1500.0 + lamp + np.sqrt(45.0**2 + lamp / 1.25) * rng.standard_normal(2136)
    assert light_changed(dark, light, 1)
    assert light_changed(light, dark, -1)
    assert not light_changed(dark, light, -1)
    assert not light_changed(light, dark, 1)


# --- seabreeze's listing, with a seabreeze that is told what is plugged in -----------------------------------


class FakeDevice:
    def __init__(self, model: str, serial_number: str) -> None:
        self.model = model
        self.serial_number = serial_number


class FakeApi:
    """What `seabreeze.spectrometers._lib.SeaBreezeAPI` gives; several calls are noted."""

    devices: tuple[FakeDevice, ...] = (FakeDevice("FLAMEX", "A1"), FakeDevice("STS", "B2"))
    announced: tuple[Any, ...] = ()

    def add_ipv4_device_location(self, *place: Any) -> None:
        type(self).announced = place

    def list_devices(self) -> list[FakeDevice]:
        return list(self.devices)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> type[FakeApi]:
    own = type("OneApi", (FakeApi,), {})
    library, spectrometers = types.ModuleType("seabreeze"), types.ModuleType("seabreeze.spectrometers")
    library.__dict__["use"] = lambda backend: None
    spectrometers.__dict__["_lib"] = types.SimpleNamespace(SeaBreezeAPI=own)
    monkeypatch.setitem(sys.modules, "seabreeze", library)
    monkeypatch.setitem(sys.modules, "seabreeze.spectrometers", spectrometers)
    return own


@pytest.mark.parametrize(
    ("address", "serial", "found"),
    [("usb", None, "A1"), ("usb:B2", None, "B2"), ("usb", "B2", "B2"), ("usb:A1", "A1", "A1")],
)
def test_a_spectrometer_on_usb_is_chosen_by_its_serial_number(
    api: type[FakeApi], address: str, serial: str | None, found: str
) -> None:
    assert Worker()._find(address, "FlameX", "cseabreeze", serial, 1.0).serial_number == found


def test_a_spectrometer_that_is_not_on_usb(api: type[FakeApi]) -> None:
    arguments = {**open_request(1), "address": "usb:C3"}
    head, _ = Worker().answer({"op": "open", "with": arguments})
    assert head["error"] == "no spectrometer with serial number C3 on USB (found: FLAMEX A1, STS B2)"
    api.devices = ()
    head, _ = Worker().answer({"op": "open", "with": {**arguments, "address": "usb"}})
    assert head["error"] == "no spectrometer on USB (found: none)"


@pytest.mark.parametrize(
    ("backend", "model", "host"), [("cseabreeze", b"FX", b"127.0.0.1"), ("pyseabreeze", "FX", "127.0.0.1")]
)
def test_each_backend_is_told_the_address_in_its_own_type(
    api: type[FakeApi], backend: str, model: object, host: object
) -> None:
    with peer(REPLY) as port:
        Worker()._find(f"tcp://localhost:{port}", "FX", backend, None, 1.0)
    assert api.announced == (model, host, port)
