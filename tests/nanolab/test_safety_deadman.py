"""The dead-man box's bytes: frames, states, and everything that is no state."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.safety import deadman

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "deadman-box.md").read_text(encoding="utf-8")


def test_the_check_is_the_published_crc() -> None:
    assert deadman.crc8(b"123456789") == 0xF4, "CRC-8/SMBUS"
    assert deadman.crc8(b"") == 0


def test_frames_are_those_of_the_document() -> None:
    assert deadman.arm_line() == "AC0"
    frames = [deadman.toggle_frame(counter) for counter in (0, 1, 2, 3, 254, 255)]
    assert frames == [b"T00E6\n", b"T01E1\n", b"T02E8\n", b"T03EF\n", b"TFE76\n", b"TFF7F\n"]
    for frame in frames:
        assert frame.decode().strip() in DOCUMENT
    assert [deadman.next_counter(counter) for counter in (0, 254, 255)] == [1, 255, 0]


@pytest.mark.parametrize("counter", [-1, 256])
def test_a_counter_outside_a_byte_is_refused(counter: int) -> None:
    with pytest.raises(ValueError, match="is 0 to 255"):
        deadman.toggle_frame(counter)


def test_every_state_line_in_the_document_can_be_read() -> None:
    lines = re.findall(r"[SRN],[A-Z]+,[A-Z]+,[\d,]+\*[0-9A-F]{2}", DOCUMENT)
    assert len(lines) >= 7
    for line in lines:
        state = deadman.parse_state(line)
        assert state.understood == (line[0] != "N")
        assert state.accepted == (line[0] == "S")
        assert state.why() in deadman.REASONS.values()
    closed = deadman.parse_state("S,CLOSED,RESET,0,30,1,1,1*78")
    assert closed == deadman.BoxState(True, True, "CLOSED", "RESET", 0, 30, True, True, True)
    assert closed.may_pass_light


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ("S,OPEN,COMMAND,0,40,0,0,1", False),
        ("S,FAULT,CONTACT,3,40,0,0,1", False),
        ("S,FAULT,CONTACT,3,40,0,1,1", True),
        ("S,OPEN,COMMAND,0,40,0,1,1", True),
        ("S,OPEN,COMMAND,0,40,1,0,1", True),
        ("S,CLOSED,COMMAND,0,40,0,0,1", True),
    ],
)
def test_only_coil_and_contact_and_state_together_say_open(fields: str, passes: bool) -> None:
    line = f"{fields}*{deadman.crc8(fields.encode()):02X}"
    assert deadman.parse_state(line).may_pass_light is passes


def test_a_reason_that_is_new_is_told_as_it_is() -> None:
    text = "S,OPEN,NEWREASON,0,40,0,0,1"
    assert deadman.parse_state(f"{text}*{deadman.crc8(text.encode()):02X}").why() == "NEWREASON"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "no line of a dead-man box"),
        ("S,OPEN,RESET,0,65535,0,0,1", "no line of a dead-man box"),
        ("S,OPEN,RESET,0,65535,0,0,1*97", "its check is wrong|the check of"),
        ("S,OPEN,RESET,0,65534,0,0,1*96", "garbled on the way"),
        ("s\xb2*00", "no line of a dead-man box"),
        ("I,nanolab,deadman-box,0001,1.0*02", "no state of a dead-man box"),
    ],
)
def test_what_is_no_state_is_refused_with_words(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        deadman.parse_state(line)


def test_identity() -> None:
    found = deadman.parse_identity("I,nanolab,deadman-box,0001,1.0*02")
    assert found == {"maker": "nanolab", "model": "deadman-box", "serial": "0001", "firmware": "1.0"}
    for wrong in ("I,nanolab,deadman-box,0001*", "S,nanolab,deadman-box,0001,1.0*"):
        with pytest.raises(ValueError, match="no identity"):
            deadman.parse_identity(f"{wrong}{deadman.crc8(wrong[:-1].encode()):02X}")


@given(st.integers(0, 255), st.integers(0, 4), st.integers(1, 255))
def test_a_toggle_with_one_byte_changed_is_no_toggle(counter: int, at: int, flip: int) -> None:
    frame = bytearray(deadman.toggle_frame(counter).rstrip())
    frame[at] ^= flip
    body, check = bytes(frame[:3]), bytes(frame[3:])
    assert b"%02X" % deadman.crc8(body) != check


def test_it_needs_the_standard_library_alone() -> None:
    code = "import sys; import nanolab.safety.deadman; print(sorted(m for m in ('serial', 'numpy', 'ophyd', 'pydantic', 'pint') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_tables_of_the_document_are_bench_files(tmp_path: Path) -> None:
    from nanolab.bench.config import load_bench

    tables = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(tables) == 3
    laser, relay, box = tables
    for number, text in enumerate((laser, laser + 'gate = "relay"\n' + relay, box)):
        file = tmp_path / f"bench{number}.toml"
        file.write_text(f"version = 1\n{text}", encoding="utf-8")
        config = load_bench(file)
        assert set(config.devices) == ({"deadman"} if number == 2 else {"laser"})


def test_toggles_rise_by_one_and_come_round() -> None:
    sent: list[bytes] = []
    toggles = deadman.Toggles(sent.append)
    for _ in range(257):
        toggles.frame()
    toggles.close()
    assert sent[0] == deadman.toggle_frame(0)
    assert sent[255:] == [deadman.toggle_frame(255), deadman.toggle_frame(0)]
