"""The simulated 34970A: transcripts of the manual, scanning in lab time, traps, errors; in a still world."""

import re
from typing import Any

import numpy as np
import pytest

from sims.instruments.keysight_34970a import Keysight34970ASimulator
from sims.pace import LabClock
from sims.testing import StillWorld

NO_ERROR = '+0,"No error"'
TC = "CONF:TEMP TC,K,(@101:103)"
INTERNAL = "TEMP:TRAN:TC:RJUN:TYPE INT,(@101:103)"


class Rig:
    def __init__(self, speed: float | None = None, **options: Any) -> None:
        self.world = StillWorld()
        self.daq = Keysight34970ASimulator(self.world, np.random.default_rng(4), **options)
        self.daq.role = "thermocouple"
        self.clock = LabClock(self.world, [self.daq], speed)
        self.session = self.daq.connection()

    def ask(self, *messages: str) -> str:
        replies = [r.data.decode() for m in messages for r in self.session.feed(m.encode() + b"\n")]
        return "".join(replies).rstrip("\n")

    def resumed(self) -> str:
        return "".join(reply.data.decode() for reply in self.session.resume()).rstrip("\n")

    def numbers(self, query: str = "READ?") -> list[float]:
        return [float(text) for text in self.ask(query).split(",")]

    def error(self) -> int:
        return int(self.ask("SYST:ERR?").split(",")[0])

    def ready(self) -> "Rig":
        self.ask("*RST", TC, INTERNAL, "TEMP:TRAN:TC:CHEC ON,(@101:103)")
        return self


def test_transcript_13_6() -> None:
    rig = Rig(wiring={101: "sample", 103: "holder"}).ready()
    assert rig.ask("ROUT:SCAN?") == "#214(@101,102,103)"
    assert rig.ask("READ?") == "+3.65640000E+01,+9.90000000E+37,+2.50000000E+01"


def test_session_1_9() -> None:
    rig = Rig()
    rig.ask("*RST", TC, INTERNAL, "TEMP:TRAN:TC:CHEC ON,(@101:103)", "TEMP:NPLC 1,(@101:103)")
    rig.ask("FORM:READ:TIME ON", "FORM:READ:CHAN ON")
    rig.ask("TRIG:SOUR TIM", "TRIG:TIM 0.5", "TRIG:COUN INF", "INIT")
    rig.clock.advance(1.0)
    block = rig.ask("R? 200")
    match = re.fullmatch(r"#(\d)(\d+?)(\+3\.65640000E\+01,.*)", block)
    assert match is not None
    digits = int(block[1])
    assert int(block[2 : 2 + digits]) == len(block) - 2 - digits
    fields = block[2 + digits :].split(",")
    assert [fields[index] for index in (2, 5, 8)] == ["101", "102", "103"]
    assert len(fields) == 27  # sweeps at 0, 0.5 and 1 s, three channels, three fields
    times = [float(text) for text in fields[1::3]]
    assert times[0] == pytest.approx(times[3] - 0.5) == pytest.approx(times[6] - 1.0)
    assert 0.0 < times[0] < times[1] < times[2] < 0.2
    assert re.fullmatch(r"\d{9}\.\d{3}", fields[1])
    assert rig.ask("R? 200") == "#10"  # read and erased
    assert int(rig.ask("STAT:OPER:COND?")) == 272
    assert rig.ask("ABOR", "SYST:ERR?") == NO_ERROR
    assert int(rig.ask("STAT:OPER:COND?")) == 256


def test_forgotten_reference_junction_reads_low_by_the_block_temperature() -> None:
    rig = Rig()
    rig.ask("*RST", TC)
    assert rig.ask("TEMP:TRAN:TC:RJUN:TYPE? (@101:103)") == "FIX,FIX,FIX"
    block = rig.numbers("TEMP:RJUN? (@101)")[0]
    assert block == pytest.approx(23.5, abs=0.06)
    assert rig.numbers()[0] == pytest.approx(36.564 - block, abs=1e-6)
    rig.ask("TEMP:TRAN:TC:RJUN 20,(@101)")
    assert rig.numbers()[0] == pytest.approx(36.564 - block + 20.0, abs=1e-6)
    assert rig.ask("TEMP:TRAN:TC:RJUN? (@101)") == "+2.00000000E+01"
    rig.ask(INTERNAL)
    assert rig.numbers()[0] == 36.564


def test_wrong_type_stretches_the_difference_to_the_block() -> None:
    rig = Rig().ready()
    rig.ask("TEMP:TRAN:TC:TYPE J,(@101)")
    assert rig.ask("TEMP:TRAN:TC:TYPE? (@101:103)") == "J,K,K"
    block = rig.numbers("TEMP:RJUN? (@101)")[0]
    assert rig.numbers()[0] == pytest.approx(block + (36.564 - block) * 40.5 / 51.7, abs=1e-6)


def test_open_channel_without_the_check_wanders_and_with_it_overloads() -> None:
    rig = Rig()
    rig.ask("*RST", "CONF:TEMP TC,K,(@101,110)", "TEMP:TRAN:TC:RJUN:TYPE INT,(@101,110)")
    wandering = [rig.numbers()[1] for _ in range(30)]
    assert all(abs(value) < 200.0 for value in wandering)
    assert np.std(wandering) > 0.5
    assert int(rig.ask("STAT:QUES:EVEN?")) & 1024 == 0
    rig.ask("TEMP:TRAN:TC:CHEC ON,(@110)")
    assert rig.ask("TEMP:TRAN:TC:CHEC? (@101,110)") == "0,1"
    assert rig.ask("READ?").split(",")[1] == "+9.90000000E+37"
    assert int(rig.ask("STAT:QUES:EVEN?")) & 1024
    assert int(rig.ask("STAT:QUES:EVEN?")) == 0  # latched, cleared by reading


def test_faults_of_the_couple() -> None:
    rig = Rig().ready()
    rig.daq.set_fault("open_couple", True)
    assert rig.numbers() == [9.9e37, 22.5, 25.0]
    rig.ask("TEMP:TRAN:TC:CHEC OFF,(@101)")
    assert abs(rig.numbers()[0]) < 100.0
    rig.daq.set_fault("open_couple", False)
    rig.daq.set_fault("reversed_couple", True)
    cold = rig.numbers()[0]
    assert cold < 15.0  # 36.6 degC, mirrored at the block's 23.5
    rig.world.temperatures_c["sample"] += 5.0
    assert rig.numbers()[0] == pytest.approx(cold - 5.0)
    rig.daq.set_fault("reversed_couple", False)
    rig.daq.set_fault("stuck_reading", True)
    stuck = rig.numbers()[0]
    rig.world.temperatures_c["sample"] += 5.0
    assert rig.numbers()[0] == stuck
    rig.daq.set_fault("stuck_reading", False)
    assert rig.numbers()[0] == stuck + 5.0


def test_integration_time_sets_the_noise() -> None:
    rig = Rig().ready()
    for cycles, noise in (("0.02", 0.25), ("0.2", 0.03), ("1", 0.02), ("10", 0.005), ("MAX", 0.0011), ("3", 0.005)):
        rig.ask(f"TEMP:NPLC {cycles},(@101:103)")
        rig.numbers()
        assert rig.world.noises_k[-1] == noise
    assert rig.ask("TEMP:NPLC? (@101)") == "+1.00000000E+01"  # 3 was taken up to the next setting
    rig.ask("TEMP:APER 0.02,(@101:103)")
    assert rig.ask("TEMP:NPLC? (@101)") == "+1.00000000E+00"


def test_conf_wipes_formats_and_trigger() -> None:
    rig = Rig().ready()
    rig.ask("FORM:READ:UNIT ON;TIME ON;CHAN ON;ALAR ON;TIME:TYPE ABS", "TRIG:SOUR TIM", "TRIG:COUN 5", "UNIT:TEMP K")
    rig.ask(TC)
    assert rig.ask("FORM:READ:UNIT?;TIME?;CHAN?;ALAR?;TIME:TYPE?;:TRIG:SOUR?;COUN?;:UNIT:TEMP? (@101)") == (
        "0;0;0;0;REL;IMM;+1.00000000E+00;C"
    )
    assert rig.ask("ROUT:SCAN:SIZE?") == "+3"
    assert rig.ask("CONF? (@101)") == '"TEMP TC,K,+1.000000E+00,+1.000000E-01"'


def test_reading_fields_in_order() -> None:
    rig = Rig().ready()
    rig.ask("ROUT:SCAN (@101)", "FORM:READ:UNIT ON;TIME ON;CHAN ON;ALAR ON")
    assert re.fullmatch(r"\+3\.65640000E\+01 C,000000000\.\d{3},101,0", rig.ask("READ?"))
    rig.ask("FORM:READ:TIME:TYPE ABS", "UNIT:TEMP K")
    assert re.fullmatch(r"\+3\.09714000E\+02 K,\d{4},\d\d,\d\d,\d\d,\d\d,\d\d\.\d{3},101,0", rig.ask("READ?"))
    rig.ask("UNIT:TEMP F,(@101)")
    assert rig.ask("READ?").startswith("+9.78152000E+01 F,")
    rig.ask("UNIT:TEMP C,(@101)")
    last = rig.ask("DATA:LAST? (@101)")
    assert re.fullmatch(r"\S+ F,\d{4},\d\d,\d\d,\d\d,\d\d,\d\d\.\d{3},101,0", last)  # as it was taken
    assert rig.ask("DATA:LAST? (@105)").startswith("+0.00000000E+00 VDC,0000")
    assert re.fullmatch(r"\d{4},\d\d,\d\d,\d\d,\d\d,\d\d\.\d{3}", rig.ask("SYST:TIME:SCAN?"))
    assert re.fullmatch(r"\d{4},\d\d,\d\d;\d\d,\d\d,\d\d\.\d{3}", rig.ask("SYST:DATE?;TIME?"))


def test_fetch_waits_for_lab_time_and_is_not_destructive() -> None:
    rig = Rig().ready()
    rig.ask("TRIG:SOUR TIM;TIM 2;COUN 3")
    assert rig.ask("READ?") == ""
    rig.clock.advance(3.0)
    assert rig.resumed() == ""
    rig.clock.advance(1.0)
    readings = rig.resumed()
    assert readings.count(",") == 8
    assert rig.ask("FETC?") == readings
    assert rig.ask("DATA:POIN?") == "+9"
    assert rig.ask("DATA:REM? 4").count(",") == 3
    assert rig.ask("R? 2").count(",") == 1
    assert rig.ask("DATA:POIN?") == "+3"
    assert rig.ask("DATA:REM? 4") == ""
    assert rig.error() == -222


def test_sweeps_without_a_timer_run_back_to_back() -> None:
    rig = Rig().ready()
    rig.ask("TRIG:COUN INF", "INIT")
    rig.clock.advance(1.0)
    sweeps = int(rig.ask("DATA:POIN?")) / 3
    # 4 ms relay and twice 21 ms for integration and check, three channels
    assert sweeps == pytest.approx(1.0 / (3 * 0.046), abs=1.5)
    assert rig.ask("TRIG:COUN?") == "9.90000200E+37"


def test_interval_shorter_than_a_sweep_runs_back_to_back() -> None:
    rig = Rig().ready()
    rig.ask("TEMP:NPLC 10,(@101:103)", "TRIG:SOUR TIM;TIM 0.1;COUN INF", "INIT")
    rig.clock.advance(10.0)
    sweep = 3 * (0.004 + 2 * 0.201)
    assert int(rig.ask("DATA:POIN?")) / 3 == pytest.approx(10.0 / sweep, abs=1.5)


def test_at_finite_speed_a_sweep_takes_its_time() -> None:
    rig = Rig(speed=1.0).ready()
    assert rig.ask("READ?") == ""
    assert rig.daq.due_s == pytest.approx(3 * 0.046)
    rig.world.time_s = 0.1
    rig.daq.tick()
    assert rig.resumed() == ""
    rig.world.time_s = 0.14
    rig.daq.tick()
    assert rig.resumed().startswith("+3.65640000E+01")


def test_bus_triggers() -> None:
    rig = Rig(speed=1.0).ready()
    rig.ask("*TRG")
    assert rig.error() == -211
    rig.ask("TRIG:SOUR BUS;COUN 3")
    assert rig.ask("READ?") == ""
    assert rig.error() == -214
    rig.ask("INIT")
    assert int(rig.ask("STAT:OPER:COND?")) == 256 + 16 + 32
    rig.ask("*TRG", "*TRG", "*TRG")  # the first runs, the second is kept, the third is ignored
    for _ in range(20):
        rig.world.time_s += 0.1
        rig.daq.tick()
    assert rig.ask("DATA:POIN?") == "+6"
    rig.ask("*TRG")
    rig.world.time_s += 0.2
    rig.daq.tick()
    assert rig.ask("DATA:POIN?") == "+9"
    assert int(rig.ask("STAT:OPER:COND?")) & 16 == 0


def test_configuration_is_locked_while_scanning() -> None:
    rig = Rig().ready()
    rig.ask("TRIG:SOUR TIM;TIM 5;COUN INF", "INIT")
    for message in ("TEMP:NPLC 10", TC, "ROUT:SCAN (@101)", "TRIG:COUN 1", "UNIT:TEMP K", "TRIG:TIM 1", "INST:DMM ON"):
        rig.ask(message)
        assert rig.ask("SYST:ERR?") == '+261,"Not able to execute while scan initiated"'
    rig.ask("INIT")
    assert rig.error() == -213
    rig.ask("*RST")  # aborts
    assert int(rig.ask("STAT:OPER:COND?")) & 16 == 0
    assert rig.ask("ROUT:SCAN?") == "#13(@)"


def test_memory_is_cleared_by_what_clears_it_only() -> None:
    rig = Rig().ready()
    rig.numbers()
    rig.ask("FETC?", "DATA:LAST? (@101)", "ABOR", "FORM:READ:CHAN ON")
    assert rig.ask("DATA:POIN?") == "+3"
    for message in ("TRIG:COUN 1", "TEMP:NPLC 1", TC, "SYST:PRES", "ROUT:SCAN (@101:103)"):
        rig.numbers()
        rig.ask(message)
        assert rig.ask("DATA:POIN?") == "+0", message
    assert rig.ask("FETC?") == ""
    assert rig.error() == -230


def test_memory_overflow_loses_the_oldest() -> None:
    rig = Rig().ready()
    rig.ask("ROUT:SCAN (@101,102)", "FORM:READ:CHAN ON", "TRIG:SOUR TIM;TIM 1;COUN INF", "INIT")
    scanner = rig.daq._scanner
    while len(scanner.memory) < 50_000:
        scanner.store(scanner.memory[0])
    rig.clock.advance(1.0)
    assert rig.ask("DATA:POIN?") == "+50000"
    assert int(rig.ask("STAT:QUES:COND?")) == 4096
    assert rig.ask("R? 1") == "#219+3.65640000E+01,101"
    rig.ask("ABOR", "INIT", "ABOR")
    assert int(rig.ask("STAT:QUES:COND?")) == 0


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("INIT", 113),
        ("READ?", 113),
        ("FETC?", -230),
        ("ROUT:SCAN (@501)", 111),
        ("ROUT:SCAN (@130)", 112),
        ("ROUT:SCAN (@201)", 302),
        ("CONF:TEMP TC,K,(@121)", 308),
        ("CONF:TEMP TC,K,101", 309),
        ("CONF:TEMP TC,K,(@)", 309),
        ("CONF:TEMP RTD,85,(@101)", 251),
        ("CONF:TEMP TC,X,(@101)", -224),
        ("CONF:TEMP TC,K", -109),
        ("CONF:TEMP TC,K,5,(@101)", -224),
        ("CONF:VOLT:DC", -109),
        ("ROUT:MON (@101,102)", 281),
        ("ROUT:MON:DATA?", -221),
        ("ROUT:MON:STAT ON", -221),
        ("TEMP:TRAN:TC:RJUN 100,(@101)", -222),
        ("TRIG:TIM 400000", -222),
        ("TRIG:COUN 0", -222),
        ("TRIG:SOUR SOON", -224),
        ("READ? (@101)", -108),
        ("SYST:COMM:LAN:CONT?", -113),
        ("SYST:CTYP? 101", 111),
        ("INST:DMM OFF", -221),
        ("OUTP:ALAR7:SOUR (@101)", -113),
    ],
)
def test_error_numbers(message: str, code: int) -> None:
    rig = Rig()
    assert rig.ask("*RST", message) == ""
    assert rig.error() == code
    assert rig.error() == 0


def test_external_reference_needs_an_rtd_that_is_not_there() -> None:
    rig = Rig().ready()
    rig.ask("TEMP:TRAN:TC:RJUN:TYPE EXT,(@101)", "INIT")
    assert rig.error() == 307


def test_channel_lists_ascend_and_ranges_may_be_reversed() -> None:
    rig = Rig()
    rig.ask("ROUT:SCAN (@109:107,103,101,103)")
    assert rig.ask("ROUT:SCAN?") == "#222(@101,103,107,108,109)"
    rig.ask("ROUT:SCAN (@119:122)")  # 121 and 122 measure current only: ignored inside a range
    assert rig.ask("ROUT:SCAN?") == "#210(@119,120)"
    rig.ask("ROUT:SCAN (@)")
    assert rig.ask("ROUT:SCAN:SIZE?;:SYST:ERR?") == "+0;" + NO_ERROR


def test_monitor_is_not_stored() -> None:
    rig = Rig().ready()
    rig.ask("ROUT:MON (@101)", "ROUT:MON:STAT ON")
    assert rig.ask("ROUT:MON?;MON:STAT?;MON:DATA?".replace(";", ";:ROUT:")) == "#16(@101);1;+3.65640000E+01"
    assert rig.ask("DATA:POIN?") == "+0"


def test_volts_after_reset() -> None:
    rig = Rig()
    rig.ask("CONF:VOLT:DC AUTO,(@101)")
    block = rig.numbers("TEMP:RJUN? (@101)")[0]
    assert rig.numbers()[0] == pytest.approx(40.5e-6 * (36.564 - block))
    assert rig.ask("CONF? (@101)").startswith('"VOLT ')


def test_alarms() -> None:
    rig = Rig().ready()
    rig.ask("CALC:LIM:UPP 30,(@101)", "CALC:LIM:UPP:STAT ON,(@101)", "CALC:LIM:LOW 24,(@102)")
    rig.ask("CALC:LIM:LOW:STAT ON,(@102)", "OUTP:ALAR2:SOUR (@101)", "FORM:READ:ALAR ON")
    assert [text[-1] for text in re.findall(r"E[+-]\d\d,\d", rig.ask("READ?"))] == ["2", "1", "0"]
    assert int(rig.ask("STAT:ALAR:COND?")) == 2 + 1 + 16
    assert re.fullmatch(r"\+3\.65640000E\+01 C,.*,101,2,2", rig.ask("SYST:ALAR?"))
    assert rig.ask("SYST:ALAR?").endswith("102,1,1")
    assert rig.ask("SYST:ALAR?").endswith(",0,0,0")
    rig.ask("OUTP:ALAR2:CLE")
    assert int(rig.ask("STAT:ALAR:COND?")) == 1
    rig.ask("OUTP:ALAR:CLE:ALL")
    assert int(rig.ask("STAT:ALAR:COND?")) == 0
    rig.ask("OUTP:ALAR:MODE TRAC", "READ?")
    rig.ask("READ?")
    assert rig.ask("OUTP:ALAR:MODE?;:OUTP:ALAR2:SOUR?") == "TRAC;#16(@101)"
    assert rig.ask("CALC:LIM:UPP? (@101);:CALC:LIM:UPP:STAT? (@101)") == "+3.00000000E+01;1"
    assert rig.ask("CALC:LIM:LOW? (@102);:CALC:LIM:LOW:STAT? (@102)") == "+2.40000000E+01;1"
    rig.ask("*CLS", "STAT:ALAR:ENAB 1;:STAT:QUES:ENAB 1024;:STAT:OPER:ENAB 16", "READ?")
    assert int(rig.ask("*STB?")) & 2


def test_delays_lengthen_the_sweep() -> None:
    rig = Rig(speed=1.0).ready()
    rig.ask("ROUT:CHAN:DEL 0.5,(@101:103)")
    assert rig.ask("ROUT:CHAN:DEL? (@101);DEL:AUTO? (@101)") == "+5.00000000E-01;0"
    rig.ask("INIT")
    assert rig.daq.due_s == pytest.approx(3 * (0.5 + 0.042))
    rig.ask("ABOR", "ROUT:CHAN:DEL:AUTO ON,(@101:103)", "INIT")
    assert rig.daq.due_s == pytest.approx(3 * 0.046)


def test_identity_cards_and_the_other_model() -> None:
    rig = Rig()
    assert rig.ask("*IDN?") == "HEWLETT-PACKARD,34970A,0,13-2-2"
    assert rig.ask("SYST:CTYP? 100;:SYST:CTYP? 200;:SYST:VERS?;:INST:DMM?") == (
        "HEWLETT-PACKARD,34901A,0,2.3;HEWLETT-PACKARD,0,0,0;1994.0;1"
    )
    assert rig.ask("SYST:REM", "SYST:INT RS232", "SYST:LOC", "SYST:ERR?") == NO_ERROR
    for _ in range(12):
        rig.ask("BOGUS")
    assert [rig.error() for _ in range(11)] == [-113] * 9 + [-350, 0]
    other = Rig(model="34972A")
    assert other.ask("*IDN?") == "Agilent Technologies,34972A,MY59000704,1.17-1.12-02-02"
    assert other.ask("SYST:COMM:LAN:CONT?") == "+0"
    other.ask(TC, INTERNAL)
    assert other.ask("READ? (@103)") == "+2.50000000E+01"
    for _ in range(25):
        other.ask("BOGUS")
    assert [other.error() for _ in range(21)] == [-113] * 19 + [-350, 0]


def test_measure_configures_and_reads() -> None:
    rig = Rig()
    block = rig.numbers("TEMP:RJUN? (@101)")[0]
    assert rig.numbers("MEAS:TEMP? TC,K,1,0.1,(@101)")[0] == pytest.approx(36.564 - block)
    assert rig.ask("ROUT:SCAN:SIZE?") == "+1"


def test_the_longer_queue_of_a_34972a_overflows_too() -> None:
    rig = Rig(model="34972A")
    rig.daq.set_fault("error_queue_overflow", True)
    assert [rig.error() for _ in range(21)] == [-100] * 19 + [-350, 0]
