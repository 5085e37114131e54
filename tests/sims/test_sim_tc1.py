"""The simulated TC 1: transcripts, ramps, reports, faults, and a block in the world that is really heated."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import serial

from sims.instruments.quantum_northwest_tc1 import TC1Simulator
from sims.pace import LabClock
from sims.server import SimulationServer
from sims.testing import StillWorld
from sims.world import World, WorldConfig
from sims.world.campaign import without_errors


class Rig:
    def __init__(self, world: Any = None, speed: float | None = None, **options: Any) -> None:
        self.world = StillWorld() if world is None else world
        self.holder = TC1Simulator(self.world, np.random.default_rng(4), **options)
        self.holder.role = "cuvette_holder"
        self.clock = LabClock(self.world, [self.holder], speed)
        self.session = self.holder.connection()

    def raw(self, text: str) -> str:
        return b"".join(reply.data for reply in self.session.feed(text.encode())).decode()

    def ask(self, *frames: str) -> str:
        """Send frames of station F1; the reply without brackets and station."""
        reply = self.raw("".join(f"[F1 {frame}]" for frame in frames))
        return "|".join(part.removeprefix("[F1 ") for part in reply.split("]") if part)

    def reports(self) -> str:
        return "".join(reply.data.decode() for reply in self.session.resume())


def test_golden_vector_7() -> None:
    rig = Rig()
    rig.world.holder_c = (22.84, 22.8, 39.0)
    assert rig.raw("[F1 CT ?]") == "[F1 CT 22.84]"
    assert rig.raw("[F1 HL ?]") == "[F1 HT 60]"  # the maker's own tag
    assert rig.raw("[F1 HT ?]") == "[F1 HT 39]"
    assert rig.raw("[F1 IS ?]") == "[F1 IS 0--C]"
    rig.world.holder_c = (25.0, 24.9, 30.0)
    rig.ask("TC +")
    rig.clock.advance(25.0)
    assert rig.raw("[F1 IS ?]") == "[F1 IS 0-+S]"


def test_identity_limits_and_sets_without_a_reply() -> None:
    rig = Rig(identity=11, version="3.0")
    assert rig.ask("ID ?", "VN ?", "MT ?", "LT ?", "MS ?", "LS ?") == "ID 11|VN 3.0|MT 110|LT -30|MS 2500|LS 200"
    assert rig.ask("TT S 37.5") == ""
    assert rig.ask("TT ?") == "TT 37.50"
    assert rig.ask("SS S 1200", "SS +", "SS ?", "IS ?") == "SS 1200|IS 0+-C"
    assert rig.world.stirring_rpm == 1200.0
    assert rig.ask("SS -", "IS ?") == "IS 0--C"
    assert rig.world.stirring_rpm == 0.0
    assert rig.ask("PA S 0.25", "PA ?", "PS +", "PS ?", "PT ?") == "PA 0.25|PS +|PT 24.90"


def test_text_outside_brackets_and_fragments() -> None:
    rig = Rig()
    assert rig.raw("noise\r\n[F1 I") == ""
    assert rig.raw("D ?]\r\n[F1 [F1 VN ?]") == "[F1 ID 14][F1 VN 2.2]"
    rig.raw("[F1 ID")
    rig.session.clear()
    assert rig.raw("[F1 VN ?]") == "[F1 VN 2.2]"


@pytest.mark.parametrize(
    "wrong",
    [
        "TC i",
        "TT S warm",
        "TT S 200",
        "XX ?",
        "ZZ S 1",
        "ID",
        "SS S 10",
        "TL +",
        "TT ? ?",
        "PA S -1",
        "CT +x",
        "RS S -1",
    ],
)
def test_what_is_not_understood_is_ignored_and_leaves_error_9(wrong: str) -> None:
    rig = Rig()
    assert rig.ask(wrong) == ""
    assert rig.ask("IS ?") == "IS 1--C"
    assert rig.ask("ER ?", "ER ?") == f"ER 09<<F1 {wrong}>>|ER -1"
    assert rig.raw("[F2 DI ?]") == ""


def test_control_that_was_told_off_by_mistake_stays_on() -> None:
    rig = Rig()
    rig.ask("TC +")
    rig.ask("TC i")  # a public driver sends this for off
    assert rig.ask("IS ?") == "IS 1-+C"
    rig.ask("TC -")
    assert rig.ask("IS ?") == "IS 1--C"


def test_ramps_are_armed_clamped_and_cancelled() -> None:
    rig = Rig()
    rig.ask("RR R+")
    assert rig.ask("RR S 0.50", "RR ?") == "RR 0.50 W"
    assert rig.ask("TT S 30", "RR ?") == "RR 0.50 W"  # control is off
    assert rig.ask("TC +", "RR ?") == "RR 0.50 +"
    assert rig.ask("RR +", "RR ?") == "RR 0.50 W"  # aborted: full drive
    assert rig.ask("TT S 31", "RR ?") == "RR 0.50 +"
    assert rig.ask("TT S 32", "RR ?") == "RR 0.50 -"
    assert rig.ask("RR S 20") == "ER 09<<RR S 20>>|RR 10.00"
    assert rig.ask("RR S 0", "RR ?") == "RR 10.00 -"
    assert rig.ask("RS S 60", "RT S 2", "RR ?") == "RR 2.00 W"
    assert rig.ask("RS ?", "RT ?") == "RS 60|RT 2.00"
    assert rig.ask("RS S 0", "RT S 0", "RR ?") == "RR 2.00 -"
    assert rig.ask("RR R-", "RR ?") == "RR 2.00"


def test_reports_come_by_themselves_until_all_are_off() -> None:
    rig = Rig()
    rig.ask("CT +3", "IS +", "TT +", "ER +")
    assert rig.reports() == ""
    rig.clock.advance(7.0)
    assert rig.reports() == "[F1 CT 25.00][F1 CT 25.00]"
    rig.ask("TT S 30")
    assert rig.reports() == "[F1 TT 30.00]"
    rig.ask("TC +")
    assert rig.reports() == "[F1 IS 0-+C]"
    rig.ask("bad x")
    assert rig.reports() == "[F1 ER 09<<F1 bad x>>][F1 IS 1-+C]"
    rig.ask("PX +", "CT -")
    rig.clock.advance(1.0)
    assert rig.reports() == "[F1 PT 24.90]"
    rig.raw("[F1 XX R-]")
    rig.clock.advance(10.0)
    rig.ask("TT S 31")
    assert rig.reports() == ""
    rig.ask("PT R+", "PT R-")
    assert rig.ask("PT ?") == "PT 24.90"


def test_faults() -> None:
    rig = Rig()
    rig.ask("TT S 37", "TC +", "SS +")
    rig.holder.set_fault("no_coolant", True)
    assert rig.ask("IS ?") == "IS 1+-C"
    assert rig.world.holder_heat_w == 0.0
    assert rig.ask("TC +", "IS ?") == "IS 1+-C"
    assert rig.ask("ER ?", "HT ?") == "ER 08|HT 95"
    rig.holder.set_fault("no_coolant", False)
    assert rig.ask("TC +", "IS ?") == "IS 0++C"
    rig.holder.set_fault("sensor_broken", True)
    assert rig.ask("ER ?", "CT ?") == "ER 05|CT -99.99"
    rig.holder.set_fault("no_probe", True)
    assert rig.ask("PT ?", "PS ?") == "NOPROBE|PS -"
    rig.holder.set_fault("silent", True)
    assert rig.ask("ID ?") == ""
    assert rig.reports() == ""


def test_a_power_cut_forgets_everything_and_tells_so() -> None:
    rig = Rig()
    rig.ask("TT S 37", "TC +", "SS +")
    rig.clock.advance(5.0)
    rig.holder.set_fault("power_off", True)
    rig.clock.advance(5.0)
    assert (rig.world.holder_heat_w, rig.world.stirring_rpm) == (0.0, 0.0)
    rig.holder.set_fault("power_off", False)
    assert rig.reports() == "[F1 IS R]"
    assert rig.ask("IS ?", "TT ?") == "IS 0--C|TT 25.00"


def warm_bench() -> Rig:
    rig = Rig(World(without_errors(WorldConfig()), 2))
    rig.ask("SS S 800", "SS +")
    return rig


def celsius(rig: Rig, what: str) -> float:
    return float(rig.ask(f"{what} ?").split()[1])


def test_the_block_arrives_at_full_drive_and_the_sample_lags() -> None:
    rig = warm_bench()
    rig.ask("TT S 37", "TC +")
    rig.clock.advance(60.0)
    # 10 K/min at most, and 22.5 degC to begin with
    assert celsius(rig, "CT") == pytest.approx(32.5, abs=0.5)
    assert celsius(rig, "PT") < celsius(rig, "CT") - 3.0
    highest = 0.0
    for _ in range(120):
        rig.clock.advance(5.0)
        highest = max(highest, celsius(rig, "CT"))
    assert highest < 37.5
    assert rig.ask("IS ?") == "IS 0++S"
    assert celsius(rig, "CT") == pytest.approx(37.0, abs=0.03)
    # what the liquid gives to the air keeps it below the block: stable is not "sample at temperature"
    assert 34.0 < celsius(rig, "PT") < 36.8


def test_a_ramp_keeps_its_rate_and_reports_its_end() -> None:
    rig = warm_bench()
    rig.ask("TC +", "TT S 25", "TT +")
    rig.clock.advance(300.0)
    rig.ask("RR S 1.00", "TT S 27")
    rig.reports()
    rig.clock.advance(60.0)
    assert celsius(rig, "CT") == pytest.approx(26.0, abs=0.1)
    rig.clock.advance(65.0)
    assert rig.reports() == "[F1 TT 27.00]"
    assert celsius(rig, "CT") == pytest.approx(27.0, abs=0.1)


def test_cooling_below_the_air_works_too() -> None:
    rig = warm_bench()
    rig.ask("TT S 10", "TC +")
    rig.clock.advance(600.0)
    assert celsius(rig, "CT") == pytest.approx(10.0, abs=0.1)
    assert rig.world.truth()["holder"]["heat_w"] < 0.0


def test_the_same_seed_gives_the_same_readings() -> None:
    def play() -> list[str]:
        rig = Rig(World(WorldConfig(), 9))
        rig.ask("TT S 30", "TC +")
        seen = []
        for _ in range(20):
            rig.clock.advance(7.3)
            seen.append(rig.ask("CT ?", "PT ?"))
        return seen

    assert play() == play()


@pytest.fixture
def served() -> Iterator[str]:
    holder = TC1Simulator(StillWorld(), np.random.default_rng(4))
    holder.role = "cuvette_holder"
    server = SimulationServer(holder.world, {"cuvette_holder": holder}, 20.0)  # type: ignore[arg-type]  # the still world has all that is served
    running = True

    def serve() -> None:
        while running:
            server.step(0.02)

    thread = threading.Thread(target=serve, name="served")
    thread.start()
    yield str(server.addresses()["instruments"]["cuvette_holder"]["tcp"])
    running = False
    thread.join()
    server.close()


def test_plain_pyserial_holds_the_transcript(served: str) -> None:
    with serial.serial_for_url(f"socket://{served}", timeout=5.0) as port:
        for sent, received in (
            (b"[F1 ID ?]", b"[F1 ID 14]"),
            (b"[F1 TT S 25.00][F1 TT ?]", b"[F1 TT 25.00]"),
            (b"[F1 HL ?]", b"[F1 HT 60]"),
            (b"[F1 TC i][F1 ER ?]", b"[F1 ER 09<<F1 TC i>>]"),
        ):
            port.write(sent)
            assert port.read_until(b"]") == received
        port.write(b"[F1 CT +1]")
        assert port.read_until(b"]") == b"[F1 CT 25.00]"  # nobody asked again
