"""The simulated PM100D: transcripts, wavelength, ranges, averaging, dark zero, faults; in a world that stands still."""

import math
from typing import Any

import numpy as np
import pytest

from sims.instruments.thorlabs_pm100d import HEADS, PM100DSimulator
from sims.pace import LabClock
from sims.testing import StillWorld


class Rig:
    def __init__(self, speed: float | None = None, position: str = "pickoff", **options: Any) -> None:
        self.world = StillWorld()
        self.world.meter_position = position
        self.meter = PM100DSimulator(self.world, np.random.default_rng(4), **options)
        self.meter.role = "powermeter"
        self.clock = LabClock(self.world, [self.meter], speed)
        self.session = self.meter.connection()

    def ask(self, *messages: str) -> str:
        replies = [r.data.decode() for m in messages for r in self.session.feed(m.encode() + b"\n")]
        return "".join(replies).rstrip("\n")

    def error(self) -> int:
        return int(self.ask("SYST:ERR?").split(",")[0])


def test_identity_head_and_golden_vector_9() -> None:
    rig = Rig(head="S120C")
    assert rig.ask("*IDN?") == "THORLABS,PM100D,P0012345,2.4.0"
    assert rig.ask("SYST:SENS:IDN?") == '"S120C","16060232","2-JUN-2021",1,18,33'
    assert rig.ask("SYSTEM:SENSOR:IDN?;:SYST:VERS?;ERR:COUN?") == '"S120C","16060232","2-JUN-2021",1,18,33;1999.0;0'
    assert rig.ask("SENS:RANGE:AUTO?") == ""
    assert rig.ask("SYST:ERR?", "SYST:ERR?") == '-113,"Undefined header"\n+0,"No error"'


@pytest.mark.parametrize(
    ("position", "head"), [("pickoff", "S121C"), ("sample_plane", "S425C"), ("behind_cuvette", "S425C")]
)
def test_head_suits_its_place(position: str, head: str) -> None:
    assert Rig(position=position).ask("SYST:SENS:IDN?") == HEADS[head].identity


def test_power_at_the_wavelength_that_is_set() -> None:
    rig = Rig()
    for query in ("MEAS?", "MEAS:POW?", "READ?", "measure:scalar:power?"):
        assert rig.ask(query) == "2.00000000E-02"
    assert rig.world.meter_wavelengths_nm[-1] == 635.0
    rig.ask("SENS:CORR:WAV 808")
    assert rig.ask("SENS:CORR:WAV?;WAV? MIN;WAV? MAX") == "8.08000000E+02;4.00000000E+02;1.10000000E+03"
    rig.ask("MEAS:POW?")
    assert rig.world.meter_wavelengths_nm[-1] == 808.0
    rig.ask("CORR:WAV 1500 NM")  # coerced by the maker's firmware, without an error
    assert rig.ask("CORR:WAV?;:SYST:ERR?") == '1.10000000E+03;+0,"No error"'
    rig.ask("CORR:WAV 808", "*RST")
    assert rig.ask("CORR:WAV?") == "6.35000000E+02"
    rig.ask("CORR:WAV? OFTEN")
    assert rig.error() == -224


def test_public_mistakes_are_seen_in_the_error_queue_only() -> None:
    rig = Rig()
    for message in ("SENS:AVER:1000", "SENS:RANGE:AUTO ON"):
        assert rig.ask(message) == ""
        assert rig.error() == -113
    assert rig.ask("MEAS:POW", "SYST:ERR?") == '-113,"Undefined header"'


def test_ranges() -> None:
    rig = Rig(head="S120C")
    assert rig.ask("SENS:POW:RANG:AUTO?") == "1"
    assert rig.ask("SENS:POW:RANG? AUTO").count(",") == 5
    rig.ask("MEAS:POW?")
    assert float(rig.ask("SENS:POW:RANG?")) == 0.05
    rig.world.meter_power_w = 3e-4
    rig.ask("MEAS:POW?")
    assert float(rig.ask("POW:DC:RANG:UPP?")) == 5e-4
    rig.ask("SENS:POW:RANG 2mW")
    assert rig.ask("SENS:POW:RANG?;RANG:AUTO?") == "5.00000000E-03;0"
    rig.world.meter_power_w = 5.9e-3
    assert rig.ask("MEAS:POW?") == "5.90000000E-03"  # 20 % above the range still reads
    rig.world.meter_power_w = 6.1e-3
    assert rig.ask("MEAS:POW?") == "9.90000000E+37"
    assert int(rig.ask("STAT:QUES:COND?")) == 8
    rig.ask("SENS:POW:RANG:AUTO ON")
    assert rig.ask("MEAS:POW?;:STAT:QUES:COND?;EVEN?") == "6.10000000E-03;0;8"
    rig.ask("SENS:POW:RANG 1")
    assert rig.error() == -222
    assert rig.ask("SENS:POW:RANG? MAX;RANG? MIN") == "5.00000000E-02;5.00000000E-07"


@pytest.mark.parametrize("text", ["INFINITY", "inf", "nan", "9.9E+37"])
def test_over_range_as_each_firmware_says_it(text: str) -> None:
    rig = Rig(over_range_text=text)
    rig.meter.set_fault("over_range", True)
    assert rig.ask("MEAS:POW?") == rig.ask("FETC?") == text
    assert rig.ask("MEAS:PDEN?") == text
    assert rig.ask("STAT:QUES:COND?") == "8"
    rig.meter.set_fault("over_range", False)
    assert rig.ask("MEAS:POW?;:STAT:QUES:COND?") == "2.00000000E-02;0"


def test_averaging_takes_its_time_and_more_readings() -> None:
    rig = Rig(speed=2.0)
    rig.ask("SENS:AVER 300")
    assert rig.ask("SENS:AVER:COUN?;COUN? MAX") == "3.00000000E+02;1.00000000E+04"
    (reply,) = rig.session.feed(b"MEAS:POW?\n")
    assert reply.after_wall_s == pytest.approx(0.05)  # 0.1 s of lab time
    assert len(rig.world.meter_wavelengths_nm) == 8
    (reply,) = rig.session.feed(b"*IDN?\n")
    assert reply.after_wall_s == 0.0
    full = Rig()
    full.ask("SENS:AVER 300")
    assert full.session.feed(b"MEAS:POW?\n")[0].after_wall_s == 0.0  # credited at full speed


def test_units_loss_and_reference() -> None:
    rig = Rig()
    rig.ask("SENS:POW:UNIT DBM")
    assert float(rig.ask("MEAS:POW?")) == pytest.approx(10 * math.log10(20.0))
    assert rig.ask("SENS:POW:UNIT?") == "DBM"
    rig.world.meter_power_w = -1e-6
    assert rig.ask("MEAS:POW?") == "-9.90000000E+37"
    rig.world.meter_power_w = 0.02
    rig.ask("SENS:POW:UNIT W", "SENS:CORR:LOSS 10")
    assert float(rig.ask("MEAS:POW?")) == pytest.approx(0.2)
    rig.ask("SENS:CORR 0", "SENS:POW:REF 5mW;REF:STAT ON")
    assert float(rig.ask("MEAS:POW?")) == pytest.approx(0.015)


def test_other_quantities() -> None:
    rig = Rig(head="S120C")
    rig.ask("SENS:CORR:BEAM 10")
    assert float(rig.ask("MEAS:PDEN?")) == pytest.approx(0.02 / (math.pi * 0.25), rel=1e-6)
    assert float(rig.ask("MEAS:CURR?")) == pytest.approx(0.006)
    assert float(rig.ask("CORR:POW:PDI:RESP?")) == 0.3
    assert rig.ask("MEAS:FREQ?") == "0.00000000E+00"
    for query in ("MEAS:TEMP?", "MEAS:ENER?", "MEAS:VOLT?"):
        assert rig.ask(query) == ""
        assert rig.error() == -241
    thermopile = Rig(head="S425C")
    assert float(thermopile.ask("MEAS:VOLT?")) == pytest.approx(4e-6)
    assert thermopile.ask("MEAS:CURR?", "SYST:ERR?").startswith("-241")
    thermopile.ask("INP:THER:ACC:AUTO 0", "INP:THER:ACC:TAU 2")
    assert thermopile.ask("INP:THER:ACC:AUTO?;TAU?") == "0;2.00000000E+00"


def test_staged_measuring() -> None:
    rig = Rig()
    assert rig.ask("FETC?") == ""
    assert rig.error() == -230
    assert rig.ask("CONF:PDEN", "CONF?", "FETC:STAT?") == "PDEN\n0"
    rig.ask("INIT")
    assert rig.ask("FETC:STAT?;:FETC?") == "1;" + rig.ask("READ?")
    rig.ask("CONF:CURR", "CONF:POW", "ABOR")
    assert rig.ask("READ?") == "2.00000000E-02"
    assert int(rig.ask("STAT:OPER:COND?")) == 256 + 512


def test_dark_zero_takes_three_seconds_without_measurements() -> None:
    rig = Rig()
    rig.world.meter_power_w = 2e-5
    rig.ask("SENS:CORR:COLL:ZERO:INIT")
    assert rig.ask("SENS:CORR:COLL:ZERO:STAT?") == "1"
    assert int(rig.ask("STAT:OPER:COND?")) & 128
    assert rig.ask("MEAS:POW?") == ""
    assert rig.error() == -221
    rig.clock.advance(5.0)
    assert rig.ask("SENS:CORR:COLL:ZERO:STAT?;MAGN?") == "0;2.00000000E-05"
    assert float(rig.ask("MEAS:POW?")) == pytest.approx(0.0, abs=1e-12)
    rig.world.meter_power_w = 0.02
    rig.ask("SENS:CORR:COLL:ZERO")
    rig.clock.advance(3.0)
    assert rig.error() == -221  # not covered: the old zero stays
    assert rig.ask("SENS:CORR:COLL:ZERO:MAGN?") == "2.00000000E-05"
    rig.ask("SENS:CORR:COLL:ZERO", "SENS:CORR:COLL:ZERO:ABOR")
    assert float(rig.ask("MEAS:POW?")) == pytest.approx(0.02 - 2e-5)


def test_unplugged_head() -> None:
    rig = Rig()
    rig.meter.set_fault("sensor_unplugged", True)
    assert rig.ask("SYST:SENS:IDN?").startswith("no sensor,")
    for message in ("MEAS:POW?", "CORR:COLL:ZERO"):
        assert rig.ask(message) == ""
        assert rig.ask("SYST:ERR?") == '-241,"Hardware missing"'
    assert int(rig.ask("STAT:OPER:COND?")) & 256 == 0
    rig.meter.set_fault("sensor_unplugged", False)
    assert rig.ask("MEAS:POW?") == "2.00000000E-02"


def test_stuck_and_blocked() -> None:
    rig = Rig()
    rig.ask("MEAS:POW?")
    rig.meter.set_fault("stuck_reading", True)
    rig.world.meter_power_w = 0.03
    assert rig.ask("MEAS:POW?") == "2.00000000E-02"
    rig.meter.set_fault("stuck_reading", False)
    assert rig.ask("MEAS:POW?") == "3.00000000E-02"
    rig.meter.set_fault("beam_blocked", True)
    dark = [float(rig.ask("MEAS:POW?")) for _ in range(20)]
    assert max(abs(power) for power in dark) < 1e-4
    assert len(set(dark)) == 20


def test_small_things() -> None:
    rig = Rig()
    assert rig.ask("SYST:BEEP", "SYST:LFR 50", "SYST:LFR?") == "50"
    rig.ask("INP:PDI:FILT:LPAS:STAT 0")
    assert rig.ask("INP:FILT?;:INIT:CONT?") == "0;0"
