"""The firmware of the dead-man box: it compiles for its board, and its core does what the simulator does."""

import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sims.instruments.deadman_box import DeadmanBoxSimulator, check_digits
from sims.testing import StillWorld

ROOT = Path(__file__).resolve().parents[2]
SKETCH = ROOT / "firmware" / "deadman_box" / "deadman_box.ino"
ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr")
CXX = shutil.which("g++")
AVR = shutil.which("avr-g++")

Event = tuple[int, bool, bool, bytes]
"""Time in ms, contact welded, door closed, bytes."""


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the core with its test program for this computer, warnings being errors."""
    if CXX is None:
        pytest.skip("no g++ on this computer: the core of the firmware is not compiled")
    program = tmp_path_factory.mktemp("firmware") / "core"
    source = Path(__file__).with_name("core_on_host.cpp")
    strict = ["-std=c++11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsanitize=undefined,address"]
    subprocess.run([CXX, *strict, f"-I{SKETCH.parent}", str(source), "-o", str(program)], check=True, timeout=100)
    return program


def by_the_core(program: Path, events: Sequence[Event]) -> list[tuple[bool, bool, bytes]]:
    text = "".join(f"{ms} {int(welded)} {int(door)} {data.hex() or '-'}\n" for ms, welded, door, data in events)
    done = subprocess.run([str(program)], input=text, capture_output=True, text=True, check=True, timeout=60)
    found = []
    for line in done.stdout.splitlines():
        coil, contact, replies = line.split()
        found.append((coil == "1", contact == "1", b"" if replies == "-" else bytes.fromhex(replies)))
    return found


def by_the_simulator(events: Sequence[Event]) -> list[tuple[bool, bool, bytes]]:
    now = [events[0][0] / 1000.0]
    box = DeadmanBoxSimulator(StillWorld(), np.random.default_rng(0), wall=lambda: now[0])
    session = box.connection()
    found = []
    for ms, welded, door, data in events:
        while box.due_wall_s <= ms / 1000.0:
            now[0] = box.due_wall_s
            box.wall_tick(now[0])
        now[0] = ms / 1000.0
        for fault, on in (("relay_welded", welded), ("interlock_open", not door)):
            if on != (fault in box.active):
                box.set_fault(fault, on)
        replies = b"".join(reply.data for reply in session.feed(data))
        found.append((b",CLOSED," in box.state_line(b"S"), box.contact_closed, replies))
    return found


def toggle(counter: int) -> bytes:
    text = b"T%02X" % (counter % 256)
    return text + check_digits(text) + b"\n"


def random_events(seed: int) -> list[Event]:
    """Mostly a sender that behaves, so that the contact is often closed, and everything that can go wrong.

    Times are multiples of 20 ms: no event falls on a time-out itself, where a millisecond of polling decides.
    """
    dice = random.Random(seed)
    welded, door, counter, ms = False, True, dice.randrange(256), 1000
    events = []
    for _step in range(60):
        ms += dice.choice([20, 40, 160, 160, 160, 160, 160, 160, 480, 520, 620, 70000])
        kind = dice.random()
        if kind < 0.50:
            data, counter = toggle(counter), counter + 1
        elif kind < 0.80:
            data = toggle(counter) + toggle(counter + 1) + b"AC0\n"
            counter += 2
        else:
            data = dice.choice(
                [
                    b"O\n", b"?\r\n", b"I\n", b"", b"\n", b"\r\n", b"\r\r\n", b"A\r", b"AC1\n", b"ac0\n", b"T", b"\x00", b"\xff\n",
                    b"T0000\n", toggle(counter - 1), toggle(counter + 1), b"toolongaline\n", b"12345678", b"T00e6\n", b"TG0E6\n",
                    b"?\n?\nO\n", b"AC0\n",
                ]
            )  # fmt: skip
        if dice.random() < 0.01:
            welded = not welded
        door = dice.random() > 0.03
        events.append((ms, welded, door, data))
    return events


def test_core_and_simulator_agree_on_everything_that_can_come(core: Path) -> None:
    closed = reasons = 0
    seen = b""
    for seed in range(60):
        events = random_events(seed)
        by_core, by_simulator = by_the_core(core, events), by_the_simulator(events)
        for at, (one, other) in enumerate(zip(by_core, by_simulator, strict=True)):
            assert one == other, f"seed {seed}, event {at} {events[at]}: core {one}, simulator {other}"
            seen += one[2]
        closed += sum(coil for coil, _contact, _replies in by_core)
    reasons = sum(
        word in seen for word in (b"RESET", b"COMMAND", b"TIMEOUT", b"MALFORMED", b"SEQUENCE", b"INTERLOCK", b"CONTACT")
    )
    assert closed > 300, "the comparison says little if the contact is hardly ever closed"
    assert reasons == 7, "every reason to open has come up"
    assert b"FAULT" in seen and b"R,OPEN" in seen


CLOSING = [(0, False, True, toggle(7)), (150, False, True, toggle(8)), (160, False, True, b"AC0\n")]


@pytest.mark.parametrize(
    ("event", "closed"),
    [
        # 500 ms after the last toggle, at 150 ms, it is still closed; a millisecond later it is not
        ((650, False, True, b""), True),
        ((651, False, True, b""), False),
        ((300, False, True, toggle(9)), True),
        ((300, False, True, toggle(8)), False),
        ((300, False, True, toggle(10)), False),
        ((300, False, True, b"T09"), True),
        ((300, False, True, b"T0\x80"), False),
        ((300, False, True, b"123456789"), False),
        ((300, False, False, b""), False),
        ((300, False, True, b"O\n"), False),
    ],
)
def test_the_core_opens_when_it_should(core: Path, event: Event, closed: bool) -> None:
    assert by_the_core(core, [*CLOSING, event])[-1][0] is closed
    assert by_the_simulator([*CLOSING, event])[-1][0] is closed


def test_the_core_gives_the_transcript_of_the_document(core: Path) -> None:
    events = [
        (70000, False, True, b"?\n"),
        (70000, False, True, b"AC0\n"),
        (70100, False, True, toggle(0)),
        (70200, False, True, toggle(1)),
        (70212, False, True, b"AC0\n"),
        (70230, False, True, b"?\n"),
        (70240, False, True, b"O\n"),
        (70260, False, True, b"@@@\n"),
        (70260, False, True, b"I\n"),
    ]
    document = (ROOT / "docs" / "deadman-box.md").read_text(encoding="utf-8")
    replies = [reply.decode().strip() for _coil, _contact, reply in by_the_core(core, events) if reply]
    assert replies == [
        "S,OPEN,RESET,0,65535,0,0,1*96",
        "R,OPEN,RESET,0,65535,0,0,1*46",
        "S,CLOSED,RESET,0,12,1,0,1*8C",
        "S,CLOSED,RESET,0,30,1,1,1*78",
        "S,OPEN,COMMAND,0,40,0,1,1*BD",
        "N,OPEN,COMMAND,0,60,0,0,1*4B",
        "I,nanolab,deadman-box,0001,1.0*02",
    ]
    for reply in replies:
        assert f"<< {reply}" in document


def test_the_counter_of_milliseconds_may_wrap(core: Path) -> None:
    start = 2**32 - 400
    events = [
        (start, False, True, toggle(0)),
        (start + 150, False, True, toggle(1)),
        (start + 160, False, True, b"AC0\n"),
    ]
    events += [(start + 300, False, True, toggle(2))]
    wrapped = by_the_core(core, events)
    assert [coil for coil, _contact, _reply in wrapped] == [False, False, True, True]


@pytest.mark.skipif(
    AVR is None, reason="no avr-g++ on this computer (Debian: gcc-avr, avr-libc): not compiled for its board"
)
@pytest.mark.skipif(not ARDUINO.exists(), reason="no Arduino core on this computer (Debian: arduino-core-avr)")
def test_the_sketch_compiles_for_its_board(tmp_path: Path) -> None:
    words = [str(AVR), "-x", "c++", "-std=gnu++11", "-Os", "-Wall", "-Wextra", "-Werror", "-fno-exceptions"]
    words += ["-mmcu=atmega328p", "-DF_CPU=16000000L", "-DARDUINO=10819", "-DARDUINO_AVR_NANO"]
    words += [f"-I{ARDUINO / 'cores' / 'arduino'}", f"-I{ARDUINO / 'variants' / 'standard'}"]
    target = tmp_path / "deadman_box.o"
    subprocess.run([*words, "-c", str(SKETCH), "-o", str(target)], check=True, timeout=100)
    assert target.stat().st_size > 0
