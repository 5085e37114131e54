"""Thorlabs ITC4001 / ITC4005: laser-diode current and temperature controller, over SCPI.

Deviations from hardware. The real instrument is on USBTMC only; here it is on a TCP stream (see
`sims.instruments.scpi`). It answers at once; hardware takes milliseconds. Where the manual leaves open what
happens, the choice is an option or named here: switching on with an open interlock queues `refusal_code`
(-221); a setpoint above the limit is refused with -222; a limit set below the setpoint takes the setpoint
down; numbers are NR3; ``TRIP?`` tells whether the reason still stands. The mount holds 23 degC while the TEC
is off. Here are the outputs and their settings; what stops the laser is in `itc4000_protection`, what is measured
in `itc4000_measurements`.

The laser keeps emitting when its host dies: this instrument has no communication watchdog.
"""

from collections.abc import Mapping
from math import inf
from typing import Any, ClassVar

import numpy as np

from sims.instruments.base import BenchWorld
from sims.instruments.itc4000_channels import RAMP_STEP_S, LaserChannel, TecChannel, from_unit, in_unit
from sims.instruments.itc4000_measurements import Measurements
from sims.instruments.itc4000_protection import Protection
from sims.instruments.scpi import SCPI_FAULTS, ScpiInstrument
from sims.instruments.scpi_tree import scpi
from sims.instruments.scpi_values import (
    ScpiError,
    Setting,
    extreme,
    read_integer,
    read_limited,
    read_switch,
)

ITC_FAULTS: Mapping[str, str] = {
    **SCPI_FAULTS,
    "interlock_open": "the interlock is open: no emission; closing it does not restart the laser",
    "key_off": "the key switch is off: no emission; turning it on again does not restart the laser",
    "ld_enable_low": "the LD-enable input is low: emission is held back (mode ENAB) or trips (mode PROT)",
    "diode_open": "the diode's cable has come off: the compliance voltage trips when current should flow",
    "tec_failure": "the TEC's cable has come off: the TEC stops, its protection stops the laser",
    "temperature_sensor_open": "the diode's temperature sensor is open: TEC and laser stop",
    "over_temperature": "the controller itself is too hot: emission stops until it has cooled down",
    "emission_stuck": "the output stage does not obey: neither off nor a lower current has any effect",
}

_NOT_WHILE_ON = {"mode", "filter", "polarity", "shape"}


class ITC4001Simulator(ScpiInstrument):
    """ITC4001: 1 A.

    Parameters
    ----------
    mount_c : float
        Temperature of the diode's mount while the TEC is off, degC.
    responsivity_a_per_w : float
        Of the monitor photodiode, A/W.
    window_k : float
        The laser trips when its temperature leaves the set one by more than this, once it had been there, K.
    refusal_code : int
        Error queued when emission is refused (interlock, key ...).
    """

    driver = "thorlabs_itc4001"
    role = "laser"
    identity = "THORLABS,ITC4001,M00315699,1.4.0/2.0.3/1.6.0"
    rating_a = 1.0
    faults = ITC_FAULTS
    parts: ClassVar[Mapping[str, type]] = {"_protection": Protection, "_measurements": Measurements}
    status_groups: ClassVar[Mapping[str, str]] = {
        "STATus:MEASurement": "measurement",
        "STATus:OPERation": "operation",
        "STATus:QUEStionable": "questionable",
        "STATus:AUXiliary": "auxiliary",
    }
    settings = (
        Setting("delay", "OUTPut[1]:DELay", 0.0, 0.0, 60.0, "S"),
        Setting("polarity", "OUTPut[1]:POLarity", "CG", words=("CG", "AG")),
        Setting("compliance", "OUTPut[1]:PROTection:VOLTage", 11.0, 0.5, 12.0, "V"),
        Setting("enable", "OUTPut[1]:PROTection:EXTernal[:MODE]", "OFF", words=("OFF", "PROTect", "ENABle")),
        Setting("filter", "OUTPut[1]:FILTer[:STATe]", False),
        Setting("filter", "FILTer[:STATe]", False),
        Setting("mode", "SOURce[1]:FUNCtion:MODE", "CURR", words=("CURRent", "POWer")),
        Setting("shape", "SOURce[1]:FUNCtion:SHAPe", "DC", words=("DC", "PULSe")),
        Setting("modulation", "SOURce[1]:AM[:STATe]", False),
        Setting("period", "SOURce[1]:PULSe:PERiod", 1e-3, 1e-3, 5.0, "S"),
        Setting("width", "SOURce[1]:PULSe:WIDTh", 1e-4, 1e-4, 1.0, "S"),
        Setting("duty", "SOURce[1]:PULSe:DCYCle", 10.0, 0.002, 99.0, "%"),
        Setting("hold", "SOURce[1]:PULSe:HOLD", "WIDT", words=("WIDTh", "DCYCle")),
        Setting("trigger", "TRIGger:SOURce", "INT", words=("INTernal", "EXTernal")),
        Setting("route", "INPut:ROUTe", "BNC", words=("DSUB", "BNC")),
        Setting("input_polarity", "INPut:POLarity", "CG", words=("CG", "AG")),
        Setting("bias", "INPut:BIAS[:STATe]", False),
        Setting("bias_voltage", "INPut:BIAS:VOLTage", 0.1, 0.1, 10.0, "V"),
        Setting("tec_mode", "SOURce2:FUNCtion[:MODE]", "TEMP", words=("TEMPerature", "CURRent")),
        Setting("tec_current", "SOURce2:CURRent[:LEVel]", 0.0, -15.0, 15.0, "A"),
        Setting("tec_limit", "SOURce2:CURRent:LIMit[:AMPLitude]", 5.0, 0.1, 15.0, "A"),
        Setting("unit", "UNIT:TEMPerature", "C", words=("C", "CEL", "K", "F", "FAR")),
    )

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        mount_c: float = 23.0,
        responsivity_a_per_w: float = 1e-3,
        window_k: float = 3.0,
        refusal_code: int = -221,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self._laser = LaserChannel(self.rating_a)
        self._tec = TecChannel(mount_c)
        self._protection = Protection(self, self._laser, self._tec, window_k)
        self._measurements = Measurements(self, rng, self._laser, self._tec, responsivity_a_per_w)
        self._refusal_code = refusal_code
        self._told = (0.0, mount_c)
        self._memory: dict[int, tuple[dict[str, Any], float, float, float]] = {}

    # --- what happens by itself -------------------------------------------------------------------------

    def tick(self) -> None:
        """Follow the soft start and the mount's temperature; let the protections look."""
        self._settle()

    def fault_changed(self, name: str, on: bool) -> None:
        """Let the protections act at once."""
        super().fault_changed(name, on)
        if not on and name == "diode_open":
            self._protection.compliance_tripped = False
        self._settle()
        self.message_done()

    def _settle(self) -> None:
        now = self.world.time_s
        laser, tec = self._laser, self._tec
        tec.advance(now, laser.heat_w(self.world))
        if tec.on:
            self._protection.watch_tec()
        if laser.on or laser.flowing_a > 0.0:
            self._protection.protect()
            self._let_flow(now)
            self.due_s = laser.next_step_s(now)
            if laser.on and self.values["mode"] == "POW":
                self.due_s = now + RAMP_STEP_S
        else:
            self.due_s = inf

    def _let_flow(self, now: float) -> None:
        laser = self._laser
        gated = "ld_enable_low" in self.active and self.values["enable"] == "ENAB"
        if not laser.on or gated:
            flowing = 0.0
        else:
            if self.values["mode"] == "POW" and laser.soft_start(now) > 0.0:
                missing = laser.set_power_w - self.world.photodiode_power_w()
                laser.loop_a = min(max(laser.loop_a + 0.3 * missing, 0.0), laser.limit_a)
            # the middle of the coming step: the charge over the ramp is then right
            flowing = laser.asked_a(self.values["mode"]) * laser.soft_start(now + 0.5 * RAMP_STEP_S)
        if "emission_stuck" in self.active and laser.flowing_a > 0.0 and not self._protection.forbidden():
            flowing = max(flowing, laser.flowing_a)
        laser.flowing_a = flowing
        case_c = self._tec.temperature_c
        if flowing != self._told[0] or (flowing > 0.0 and abs(case_c - self._told[1]) > 0.02):
            self._told = (flowing, case_c)
            self.world.set_diode(flowing, case_c)

    # --- status -----------------------------------------------------------------------------------------

    def condition(self, group: str) -> int:
        """Return a condition register."""
        if group == "measurement":
            return self._protection.condition()
        if group == "operation":
            return self._operation_condition()
        return 0

    def _operation_condition(self) -> int:
        laser = self._laser
        word = (2048 if laser.on else 0) | (4096 if self._tec.on else 0)
        if laser.on and laser.soft_start(self.world.time_s) < 1.0:
            word |= 2
        return word

    def status_byte(self) -> int:
        """Return the status byte: 1 AUX, 2 measurement, 4 errors, 8 questionable, 32 ESR, 128 operation."""
        groups = self.groups
        byte = super().status_byte() | (1 if groups["auxiliary"].summary else 0)
        byte |= (2 if groups["measurement"].summary else 0) | (8 if groups["questionable"].summary else 0)
        return byte | (128 if groups["operation"].summary else 0)

    # --- laser output -----------------------------------------------------------------------------------

    def reset(self) -> None:
        """Carry out `*RST`: outputs off, settings at their defaults; the error queue stays."""
        stuck = "emission_stuck" in self.active and self._laser.flowing_a > 0.0 and not self._protection.forbidden()
        super().reset()
        flowing = self._laser.flowing_a
        self._laser.reset()
        self._laser.flowing_a, self._laser.on = flowing, stuck
        self._tec.reset()
        self._protection.forget()
        self._settle()

    def setting_changes(self, key: str) -> None:
        """Refuse with -221 what cannot be changed while the laser is on."""
        if self._laser.on and key in _NOT_WHILE_ON:
            raise ScpiError(-221)

    @scpi("OUTPut[1][:STATe]")
    def _output(self, text: str) -> None:
        wanted = read_switch(text)
        laser = self._laser
        if wanted and not laser.on:
            if self._protection.forbidden() or "tec_failure" in self.active:
                raise ScpiError(self._refusal_code)
            self._protection.forget()
            laser.start(self.world.time_s, self.values["delay"])
        elif not wanted and not ("emission_stuck" in self.active and laser.on):
            laser.on = False
            self._protection.forget()
        self._settle()

    @scpi("OUTPut[1][:STATe]?")
    def _output_query(self) -> str:
        return "1" if self._laser.on else "0"

    @scpi("SOURce[1]:CURRent[:LEVel][:IMMediate][:AMPLitude]")
    def _current(self, text: str) -> None:
        laser = self._laser
        laser.set_a = read_limited(text, 0.0, laser.limit_a, 0.0, "A")
        self._settle()

    @scpi("SOURce[1]:CURRent[:LEVel][:IMMediate][:AMPLitude]?")
    def _current_query(self, which: str | None = None) -> str:
        return self.number(_told(which, self._laser.set_a, 0.0, self._laser.limit_a, 0.0))

    @scpi("SOURce[1]:CURRent:LIMit[:AMPLitude]")
    def _limit(self, text: str) -> None:
        laser = self._laser
        laser.limit_a = read_limited(text, 0.0, self.rating_a, self.rating_a, "A")
        laser.set_a = min(laser.set_a, laser.limit_a)
        self._settle()

    @scpi("SOURce[1]:CURRent:LIMit[:AMPLitude]?")
    def _limit_query(self, which: str | None = None) -> str:
        return self.number(_told(which, self._laser.limit_a, 0.0, self.rating_a, self.rating_a))

    @scpi("SOURce[1]:POWer[:LEVel][:IMMediate][:AMPLitude]")
    def _power(self, text: str) -> None:
        self._laser.set_power_w = read_limited(text, 0.0, 10.0, 0.0, "W")
        self._settle()

    @scpi("SOURce[1]:POWer[:LEVel][:IMMediate][:AMPLitude]?")
    def _power_query(self, which: str | None = None) -> str:
        return self.number(_told(which, self._laser.set_power_w, 0.0, 10.0, 0.0))

    # --- TEC --------------------------------------------------------------------------------------------

    @scpi("OUTPut2[:STATe]")
    def _tec_output(self, text: str) -> None:
        wanted = read_switch(text)
        if wanted and self.active & {"tec_failure", "temperature_sensor_open"}:
            raise ScpiError(self._refusal_code)
        self._tec.on = wanted
        self._tec.settled = False
        self._settle()

    @scpi("OUTPut2[:STATe]?")
    def _tec_output_query(self) -> str:
        return "1" if self._tec.on else "0"

    @scpi("SOURce2:TEMPerature[:SPOint]")
    def _set_temperature(self, text: str) -> None:
        wanted = extreme(text, self._tec.low_c, self._tec.high_c, 25.0)
        if wanted is None:
            unit = self.values["unit"]
            wanted = from_unit(read_limited(text, -inf, inf, 25.0, unit[0]), unit)
        if not self._tec.low_c <= wanted <= self._tec.high_c:
            raise ScpiError(-222)
        self._tec.set_c = wanted
        self._tec.settled = False
        self._settle()

    @scpi("SOURce2:TEMPerature[:SPOint]?")
    def _set_temperature_query(self, which: str | None = None) -> str:
        tec = self._tec
        return self.number(in_unit(_told(which, tec.set_c, tec.low_c, tec.high_c, 25.0), self.values["unit"]))

    @scpi("SOURce2:TEMPerature:LIMit:LOW")
    def _low(self, text: str) -> None:
        self._tec.low_c = read_limited(text, -55.0, self._tec.high_c, 5.0, "C")

    @scpi("SOURce2:TEMPerature:LIMit:LOW?")
    def _low_query(self) -> str:
        return self.number(in_unit(self._tec.low_c, self.values["unit"]))

    @scpi("SOURce2:TEMPerature:LIMit:HIGH", "SOURce2:TEMPerature:LIMit:UPPer")
    def _high(self, text: str) -> None:
        self._tec.high_c = read_limited(text, self._tec.low_c, 150.0, 45.0, "C")

    @scpi("SOURce2:TEMPerature:LIMit:HIGH?", "SOURce2:TEMPerature:LIMit:UPPer?")
    def _high_query(self) -> str:
        return self.number(in_unit(self._tec.high_c, self.values["unit"]))

    # --- the rest ---------------------------------------------------------------------------------------

    @scpi("SYSTem:BEEPer[:IMMediate]")
    def _beep(self) -> None:
        return

    @scpi("*SAV", "*SDS")
    def _save(self, slot: str) -> None:
        number = read_integer(slot, 1, 10, 1)
        self._memory[number] = (dict(self.values), self._laser.limit_a, self._laser.set_a, self._tec.set_c)

    @scpi("*RCL")
    def _recall(self, slot: str) -> None:
        number = read_integer(slot, 1, 10, 1)
        if number not in self._memory:
            raise ScpiError(-221)
        self.reset()
        values, self._laser.limit_a, self._laser.set_a, self._tec.set_c = self._memory[number]
        self.values = dict(values)
        self._settle()


class ITC4005Simulator(ITC4001Simulator):
    """ITC4005: the same with 5 A."""

    driver = "thorlabs_itc4005"
    identity = "THORLABS,ITC4005,M00315700,1.4.0/2.0.3/1.6.0"
    rating_a = 5.0


def _told(which: str | None, value: float, low: float, high: float, default: float) -> float:
    """Return the value, or the limit that the query asks for."""
    if which is None:
        return value
    found = extreme(which, low, high, default)
    if found is None:
        raise ScpiError(-224)
    return found
