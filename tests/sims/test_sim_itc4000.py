"""The simulated ITC4001/4005: transcripts, soft start, protections, TEC, faults; in a world that stands still."""

import math

import numpy as np
import pytest

from sims.instruments.itc4000_channels import TecChannel, thermistor_ohm
from sims.instruments.thorlabs_itc4000 import ITC4001Simulator, ITC4005Simulator
from sims.pace import LabClock
from sims.testing import StillWorld


class Rig:
    def __init__(self, laser: type[ITC4001Simulator] = ITC4001Simulator, **options: float) -> None:
        self.world = StillWorld()
        self.laser = laser(self.world, np.random.default_rng(2), **options)  # type: ignore[arg-type]
        self.clock = LabClock(self.world, [self.laser], None)
        self._session = self.laser.connection()

    def ask(self, *messages: str) -> str:
        replies = [r.data.decode() for m in messages for r in self._session.feed(m.encode() + b"\n")]
        return "".join(replies).rstrip("\n")

    def number(self, query: str) -> float:
        return float(self.ask(query))

    def word(self, query: str) -> int:
        return int(self.ask(query))

    def emit(self, current: str = "0.5") -> None:
        self.ask("SOUR:CURR:LIM 0.9", f"SOUR:CURR {current}", "OUTP1 ON")
        self.clock.advance(1.5)
        assert self.world.current_a == pytest.approx(float(current))

    def error(self) -> int:
        return int(self.ask("SYST:ERR?").split(",")[0])


def test_identity_and_golden_vector_9() -> None:
    rig = Rig()
    assert rig.ask("*IDN?") == "THORLABS,ITC4001,M00315699,1.4.0/2.0.3/1.6.0"
    assert rig.ask("SOUR:WHAT?") == ""
    assert rig.ask("SYST:ERR?") == '-113,"Undefined header"'
    assert Rig(ITC4005Simulator).ask("*IDN?;:SOUR:CURR:LIM? MAX").endswith(";5.00000000E+00")


def test_arming_sequence_of_the_manual() -> None:
    rig = Rig()
    assert rig.ask("*CLS;:SYST:ERR?") == '+0,"No error"'
    assert rig.ask("OUTP:PROT:KEYL:TRIP?;INTL:TRIP?".replace(";", ";:OUTP:PROT:")) == "0;0"
    assert rig.word("STAT:MEAS:COND?") == 0
    assert rig.ask("SOUR:CURR:LIM 0.8;:SOUR:CURR:LIM?") == "8.00000000E-01"
    rig.ask("SOUR:CURR 0", "SOUR2:TEMP 25.5", "OUTP2 ON")
    assert rig.number("SOUR2:TEMP?") == 25.5  # decimals survive
    rig.clock.advance(40.0)
    assert rig.number("MEAS:TEMP?") == pytest.approx(25.5, abs=0.1)
    rig.ask("OUTP1 ON")
    assert rig.ask("OUTP1?") == "1"
    assert rig.word("STAT:OPER:COND?") & 2048
    rig.ask("SOUR:CURR 250mA")
    rig.clock.advance(2.0)
    assert rig.number("MEAS:CURR?") == pytest.approx(0.25, abs=1e-4)
    assert rig.world.current_a == 0.25
    rig.ask("SOUR:CURR 0", "OUTP1 OFF")
    assert rig.ask("OUTP1?") == "0"
    assert rig.world.current_a == 0.0
    assert rig.word("STAT:OPER:COND?") & 2048 == 0
    assert rig.ask("SYST:ERR?") == '+0,"No error"'


def test_soft_start_is_a_second_long_and_linear() -> None:
    rig = Rig()
    rig.ask("SOUR:CURR:LIM 1;:SOUR:CURR 0.6;:OUTP:DEL 0.5;:OUTP ON")
    assert rig.ask("OUTP?") == "1"
    assert rig.word("STAT:OPER:COND?") & 2
    rig.clock.advance(3.0)
    steps = [(at, current) for at, current, _ in rig.world.diode]
    assert all(current == 0.0 for at, current in steps if at < 0.5)
    charge = sum((later[0] - now[0]) * now[1] for now, later in zip(steps, [*steps[1:], (3.0, 0.0)], strict=True))
    # nothing for 0.5 s, a ramp over 1 s (0.3 A s), 0.6 A for 1.5 s (0.9 A s)
    assert charge == pytest.approx(1.2, abs=0.002)
    assert [current for _, current in steps] == sorted(current for _, current in steps)
    assert rig.word("STAT:OPER:COND?") & 2 == 0
    assert rig.laser.due_s == math.inf


def test_limits_and_their_errors() -> None:
    rig = Rig()
    rig.ask("SOUR:CURR:LIM 0.4", "SOUR:CURR 0.5")
    assert rig.error() == -222
    assert rig.number("SOUR:CURR?") == 0.0
    assert rig.ask("SOUR:CURR? MAX;:SOUR:CURR:LIM? MAX;:SOUR:CURR? MIN") == (
        "4.00000000E-01;1.00000000E+00;0.00000000E+00"
    )
    rig.ask("SOUR:CURR? OFTEN")
    assert rig.error() == -224
    rig.ask("SOUR:CURR:LIM 1.2")
    assert rig.error() == -222
    rig.ask("SOUR:CURR LIM 0.5")  # a blank for a colon: the limit is never set
    assert rig.error() == -104
    rig.ask("SOUR:CURR 0.4", "SOUR:CURR:LIM 0.3")
    assert rig.number("SOUR:CURR?") == 0.3


@pytest.mark.parametrize(
    ("fault", "bit", "trip"),
    [
        ("interlock_open", 4, "INTL"),
        ("key_off", 1, "KEYL"),
        ("over_temperature", 16384, "OTEM"),
        ("temperature_sensor_open", 1024, None),
    ],
)
def test_what_stops_emission_at_once_and_does_not_let_it_restart(fault: str, bit: int, trip: str | None) -> None:
    rig = Rig()
    rig.emit()
    rig.laser.set_fault(fault, True)
    assert rig.world.current_a == 0.0
    assert rig.ask("OUTP1?") == "0"
    assert rig.word("STAT:MEAS:COND?") & bit
    if trip is not None:
        assert rig.ask(f"OUTP:PROT:{trip}:TRIP?") == "1"
    assert rig.error() == 0
    assert rig.ask("OUTP1 ON") == ""
    assert rig.error() == -221
    assert rig.ask("OUTP1?") == "0"
    rig.laser.set_fault(fault, False)
    rig.clock.advance(5.0)
    assert rig.world.current_a == 0.0  # closing does not restart
    assert rig.word("STAT:MEAS:COND?") & bit == 0
    assert rig.word("STAT:MEAS?") & bit  # the event register remembers
    rig.ask("OUTP1 ON")
    rig.clock.advance(1.5)
    assert rig.world.current_a == 0.5


def test_refusal_code_can_be_chosen() -> None:
    rig = Rig(refusal_code=805)
    rig.laser.set_fault("key_off", True)
    rig.ask("OUTP ON")
    assert rig.ask("SYST:ERR?") == '+805,"Device-specific error"'


def test_ld_enable_trips_or_gates() -> None:
    rig = Rig()
    rig.emit()
    rig.laser.set_fault("ld_enable_low", True)
    assert rig.world.current_a == 0.5  # mode OFF: ignored
    rig.laser.set_fault("ld_enable_low", False)
    rig.ask("OUTP:PROT:EXT ENAB")
    rig.laser.set_fault("ld_enable_low", True)
    assert rig.world.current_a == 0.0
    assert rig.ask("OUTP?") == "1"
    assert rig.word("STAT:MEAS:COND?") & 16
    rig.laser.set_fault("ld_enable_low", False)
    assert rig.world.current_a == 0.5
    rig.ask("OUTP:PROT:EXT:MODE PROT")
    rig.laser.set_fault("ld_enable_low", True)
    assert rig.ask("OUTP:PROT:EXT:TRIP?;MODE?".replace(";", ";:OUTP:PROT:EXT:")) == "1;PROT"
    rig.laser.set_fault("ld_enable_low", False)
    assert rig.ask("OUTP?") == "0"


def test_open_diode_trips_on_compliance_when_current_should_flow() -> None:
    rig = Rig()
    rig.laser.set_fault("diode_open", True)
    rig.ask("SOUR:CURR:LIM 0.5", "SOUR:CURR 0.4", "OUTP ON")
    assert rig.ask("OUTP?;:OUTP:PROT:VOLT:TRIP?;:STAT:MEAS:COND?") == "0;1;2"
    rig.ask("OUTP OFF")
    assert rig.ask("OUTP:PROT:VOLT:TRIP?") == "0"
    rig.ask("OUTP ON")
    rig.laser.set_fault("diode_open", False)
    assert rig.ask("STAT:MEAS:COND?") == "0"


def test_tec_failure_stops_the_laser_through_its_temperature_protection() -> None:
    rig = Rig()
    rig.ask("OUTP2 ON")
    rig.clock.advance(60.0)
    rig.emit()
    rig.laser.set_fault("tec_failure", True)
    assert rig.ask("OUTP1?;:OUTP2?;:OUTP:PROT:INT:TRIP?") == "0;0;1"
    assert rig.world.current_a == 0.0
    assert rig.word("STAT:MEAS:COND?") & (256 | 4096) == 256 | 4096
    rig.ask("OUTP2 ON", "OUTP1 ON")
    assert [rig.error(), rig.error()] == [-221, -221]
    rig.clock.advance(60.0)
    assert rig.number("MEAS:TEMP?") == pytest.approx(23.0, abs=0.1)


def test_laser_trips_when_the_temperature_leaves_its_window() -> None:
    rig = Rig()
    rig.ask("OUTP2 ON")
    rig.clock.advance(60.0)
    rig.emit()
    rig.laser._tec.temperature_c = 40.0
    rig.clock.advance(0.5)
    assert rig.ask("OUTP1?") == "0"
    assert rig.word("STAT:MEAS:COND?") & (256 | 512) == 256 | 512


def test_changing_the_set_temperature_is_no_reason_to_trip() -> None:
    rig = Rig()
    rig.ask("OUTP2 ON")
    rig.clock.advance(60.0)
    rig.emit()
    rig.ask("SOUR2:TEMP 40")
    rig.clock.advance(60.0)
    assert rig.ask("OUTP1?") == "1"
    assert rig.world.diode[-1][2] == pytest.approx(40.0, abs=0.1)  # the world hears of the warmer diode


def test_stuck_emission_obeys_neither_off_nor_less_current() -> None:
    rig = Rig()
    rig.emit("0.7")
    rig.laser.set_fault("emission_stuck", True)
    rig.ask("SOUR:CURR 0", "OUTP1 OFF", "*RST")
    rig.clock.advance(1.0)
    assert rig.world.current_a == 0.7
    assert rig.ask("OUTP1?") == "1"
    assert rig.word("STAT:OPER:COND?") & 2048
    assert rig.number("MEAS:CURR?") == pytest.approx(0.7, abs=1e-4)
    rig.laser.set_fault("interlock_open", True)  # the interlock cuts the supply
    assert rig.world.current_a == 0.0
    rig.laser.set_fault("interlock_open", False)
    rig.laser.set_fault("emission_stuck", False)
    rig.ask("OUTP OFF")
    assert rig.ask("OUTP1?") == "0"


def test_stuck_stage_lets_go_when_the_fault_is_gone() -> None:
    rig = Rig()
    rig.emit("0.7")
    rig.laser.set_fault("emission_stuck", True)
    rig.ask("SOUR:CURR 0.2")
    assert rig.world.current_a == 0.7
    rig.laser.set_fault("emission_stuck", False)
    assert rig.world.current_a == 0.2


def test_what_cannot_change_while_on() -> None:
    rig = Rig()
    rig.emit()
    for message in ("SOUR:FUNC:MODE POW", "FILT ON", "OUTP:POL AG", "SOUR:FUNC:SHAP PULS"):
        rig.ask(message)
        assert rig.error() == -221
    rig.ask("OUTP OFF", "FILT ON", "OUTP:POL AG")
    assert rig.ask("OUTP:FILT?;:OUTP:POL?;:SYST:ERR?") == '1;AG;+0,"No error"'


def test_constant_power_holds_the_photodiode() -> None:
    rig = Rig()
    rig.ask("SOUR:FUNC:MODE POW", "SOUR:POW 0.3", "OUTP ON")
    rig.clock.advance(10.0)
    assert rig.world.photodiode_power_w() == pytest.approx(0.3, rel=1e-3)
    assert rig.number("MEAS:POW2?") == pytest.approx(0.3, rel=1e-3)
    rig.ask("OUTP OFF", "SOUR:CURR:LIM 0.5", "OUTP ON")
    rig.clock.advance(10.0)
    assert rig.world.current_a == 0.5
    assert rig.word("STAT:MEAS:COND?") & 32  # limited
    assert rig.ask("SOUR:POW? MAX;:SOUR:POW?") == "1.00000000E+01;3.00000000E-01"


def test_reset_turns_everything_off_but_keeps_errors() -> None:
    rig = Rig()
    rig.emit()
    rig.ask("BOGUS", "OUTP2 ON", "*RST")
    assert rig.world.current_a == 0.0
    assert rig.ask("OUTP1?;:OUTP2?;:SOUR:CURR?") == "0;0;0.00000000E+00"
    assert rig.error() == -113


def test_measurements_and_units() -> None:
    rig = Rig()
    assert rig.ask("MEAS:VOLT?;POW?;VOLT2?;POW3?") == ";".join(["0.00000000E+00"] * 4)
    rig.emit()
    assert rig.number("MEAS:VOLT1?") == pytest.approx(1.55)
    assert rig.number("MEAS:POW1?") == pytest.approx(0.775)
    assert rig.number("MEAS:CURR2?") == pytest.approx(0.18 * 1e-3)
    rig.ask("OUTP2 ON")
    rig.clock.advance(100.0)
    assert rig.number("MEAS:TSEN?") == pytest.approx(1e4, rel=1e-3)
    assert thermistor_ohm(0.0) == pytest.approx(1e4 * math.exp(3988 * (1 / 273.15 - 1 / 298.15)))
    current = rig.number("MEAS:CURR3?")
    assert rig.number("MEAS:VOLT3?") * current == pytest.approx(rig.number("MEAS:POW4?"))
    for unit, value in (("K", 298.15), ("F", 77.0), ("C", 25.0)):
        assert rig.ask(f"UNIT:TEMP {unit};TEMP?") == unit
        assert rig.number("MEAS:TEMP?") == pytest.approx(value, abs=0.05)
        assert rig.number("SOUR2:TEMP?") == pytest.approx(value)
    rig.ask("UNIT:TEMP K", "SOUR2:TEMP 300.15")
    rig.ask("UNIT:TEMP F")
    assert rig.number("SOUR2:TEMP?") == pytest.approx(80.6)
    rig.ask("SOUR2:TEMP 86")
    rig.ask("UNIT:TEMP C")
    assert rig.number("SOUR2:TEMP?") == pytest.approx(30.0)


def test_temperature_limits() -> None:
    rig = Rig()
    rig.ask("SOUR2:TEMP:LIM:LOW 20", "SOUR2:TEMP:LIM:HIGH 30")
    assert rig.ask("SOUR2:TEMP:LIM:LOW?;UPP?") == "2.00000000E+01;3.00000000E+01"
    rig.ask("SOUR2:TEMP 31")
    assert rig.error() == -222
    rig.ask("SOUR2:TEMP MAX")
    assert rig.number("SOUR2:TEMP?") == 30.0


def test_sensor_open_reads_as_no_temperature() -> None:
    rig = Rig()
    rig.laser.set_fault("temperature_sensor_open", True)
    assert rig.ask("MEAS:TEMP?;TSEN?") == "9.90000000E+37;9.90000000E+37"


def test_mount_follows_first_order() -> None:
    tec = TecChannel(20.0, tau_s=10.0, rise_k_per_w=5.0)
    tec.on, tec.set_c = True, 30.0
    assert tec.current_a(0.0) == 0.0
    for at in (1.0, 4.0, 10.0):  # whatever the steps
        tec.advance(at, 0.0)
    assert tec.temperature_c == pytest.approx(30.0 - 10.0 * math.exp(-1.0))
    tec.on = False
    tec.advance(200.0, 2.0)
    assert tec.temperature_c == pytest.approx(30.0)  # 20 degC and 10 K of the diode's own heat


def test_setups_are_kept_in_slots() -> None:
    rig = Rig()
    rig.ask("SOUR:CURR:LIM 0.6", "SOUR:CURR 0.3", "SOUR2:TEMP 27", "*SAV 2", "*RST", "*RCL 2")
    assert rig.ask("SOUR:CURR:LIM?;:SOUR:CURR?;:SOUR2:TEMP?;:OUTP?") == (
        "6.00000000E-01;3.00000000E-01;2.70000000E+01;0"
    )
    rig.ask("*RCL 3")
    assert rig.error() == -221


def test_status_byte_summarises_groups() -> None:
    rig = Rig()
    rig.ask("STAT:MEAS:ENAB 4;:STAT:OPER:ENAB 2048;*SRE 2")
    rig.emit()
    assert rig.word("*STB?") == 128
    rig.laser.set_fault("interlock_open", True)
    assert rig.word("*STB?") == 128 + 2 + 64
    rig.ask("*CLS", "BOGUS")
    assert rig.word("*STB?") == 4
    assert rig.ask("STAT:AUX:COND?;:STAT:QUES:COND?") == "0;0"
    rig.ask("SYST:BEEP")


def test_same_seed_same_readings() -> None:
    def readings() -> list[str]:
        rig = Rig()
        rig.emit()
        return [rig.ask("MEAS:CURR?;TEMP?") for _ in range(5)]

    assert readings() == readings()
    assert len(set(readings())) == 5
