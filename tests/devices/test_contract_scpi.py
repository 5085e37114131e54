"""The contract suites on the SCPI drivers, against small stateful fakes of the instruments (literal replies)."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devices.keysight_34970a import Keysight34970A
from devices.thorlabs_itc4000 import ThorlabsITC4001
from devices.thorlabs_pm100d import ThorlabsPM100D
from nanolab.interfaces import DeviceContext, OffReport
from nanolab.testing import LineServer, Rig, laser_contract, powermeter_contract, thermometer_contract

LASER = {
    "wavelength": "808 nm",
    "max_power": "0.6 W",
    "current_limit": "0.9 A",
    "threshold_current": "0.2 A",
    "slope": "1.0 W/A",
    "deadline": "2 s",
}


class Fake:
    """Answers joined messages: unknown units are silent and put -113 into the queue."""

    faults: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.queue: list[str] = []
        self.values: dict[str, str] = {}
        self.active: set[str] = set()

    def answer(self, line: str) -> bytes:
        replies = [reply for unit in line.split(";") if (reply := self.unit(unit.lstrip(":"))) is not None]
        return ";".join(replies).encode() + b"\n" if replies else b""

    def unit(self, unit: str) -> str | None:
        header, _, argument = unit.partition(" ")
        if unit == "SYST:ERR?":
            return self.queue.pop(0) if self.queue else '+0,"No error"'
        if unit in {"*CLS", "*RST", "ABOR"}:
            self.queue.clear()
            return None
        query = getattr(self, "ask_" + header.rstrip("?").replace(":", "_").replace("*", "").lower(), None)
        if header.endswith("?") and query is not None:
            return str(query())
        if header.endswith("?"):
            known = self.values.get(header[:-1])
            if known is None:
                self.queue.append('-113,"Undefined header"')
            elif argument.startswith("(@"):
                return ",".join([known] * len(argument.split(",")))
            return known
        self.values[header] = argument.split(",(@")[0]
        self.changed(header, argument)
        return None

    def changed(self, header: str, argument: str) -> None:
        pass

    def fault(self, name: str, on: bool) -> None:
        (self.active.add if on else self.active.discard)(name)


class FakeITC(Fake):
    faults = frozenset({"interlock_open", "emission_stuck"})

    def __init__(self) -> None:
        super().__init__()
        self.on = False
        self.values = {
            "*IDN": "THORLABS,ITC4001,M00315699,1.4.0/2.0.3/1.6.0",
            "SOUR:FUNC:MODE": "CURR",
            "SOUR:FUNC:SHAP": "DC",
            "SOUR:AM:STAT": "0",
            "SOUR:CURR": "0.0",
            "SOUR:CURR:LIM": "1.0",
            "SOUR2:TEMP": "24.0",
            "MEAS:TEMP": "24.98",
            "OUTP2": "0",
        }

    def changed(self, header: str, argument: str) -> None:
        if header == "OUTP2":
            self.values["OUTP2"] = "1"
        if header == "OUTP1":
            self.values.pop("OUTP1")
            if argument == "ON" and "interlock_open" in self.active:
                self.queue.append('-221,"Settings conflict"')
            else:
                self.on = argument == "ON"

    def fault(self, name: str, on: bool) -> None:
        super().fault(name, on)
        if "interlock_open" in self.active:
            self.on = False

    def ask_outp1(self) -> int:
        return int(self.on)

    def emitting(self) -> bool:
        return self.on or "emission_stuck" in self.active

    def ask_stat_oper_cond(self) -> int:
        return 2048 * self.emitting() + 4096 * (self.values["OUTP2"] == "1")

    def ask_stat_meas_cond(self) -> int:
        return 4 * ("interlock_open" in self.active)

    def ask_meas_curr1(self) -> str:
        stuck = 0.5 if "emission_stuck" in self.active else 0.0
        return f"{float(self.values['SOUR:CURR']) if self.on else stuck:.4f}"


class FakeScanner(Fake):
    faults = frozenset({"open_couple"})

    def __init__(self) -> None:
        super().__init__()
        self.values = {"*IDN": "HEWLETT-PACKARD,34970A,0,13-2-2", "SYST:CTYP": "HEWLETT-PACKARD,34901A,0,2.3"}

    def changed(self, header: str, argument: str) -> None:
        short = {"CONF:TEMP": ("TEMP:TRAN:TC:TYPE", "K"), "TEMP:TRAN:TC:CHEC": ("TEMP:TRAN:TC:CHEC", "1")}
        if header in short:
            name, value = short[header]
            self.values[name] = value

    def ask_rout_scan(self) -> str:
        return "#210(@101,102)"

    def ask_syst_ctyp(self) -> str:
        return self.values["SYST:CTYP"]

    def ask_read(self) -> str:
        sample = "+9.90000000E+37" if "open_couple" in self.active else "+3.65640000E+01"
        return f"{sample} C,101,+2.50000000E+01 C,102"


class FakeMeter(Fake):
    faults = frozenset({"over_range"})

    def __init__(self) -> None:
        super().__init__()
        self.values = {
            "*IDN": "THORLABS,PM100D,P0012345,2.4.0",
            "SENS:CORR:WAV": "6.35000000E+02",
            "SENS:AVER:COUN": "1",
            "SYST:SENS:IDN": '"S120C","16060232","2-JUN-2021",1,18,33',
        }

    def ask_meas_pow(self) -> str:
        return "INFINITY" if "over_range" in self.active else "4.96312E-03"


def rig_maker(driver: Callable[[DeviceContext], Any], fake: Callable[[], Fake], **settings: Any) -> Any:
    @contextlib.contextmanager
    def make() -> Iterator[Rig]:
        instrument = fake()
        with LineServer(instrument.answer) as server:
            model = driver.Settings.model_validate(settings)  # type: ignore[attr-defined]  # every driver has one
            name = {"ThorlabsITC4001": "laser", "Keysight34970A": "thermocouple"}.get(
                getattr(driver, "__name__", ""), "powermeter"
            )
            context = DeviceContext(name, server.address, model, simulated=True, lab_time=time.time)
            emitting = instrument.emitting if isinstance(instrument, FakeITC) else None
            device = driver(context)
            try:
                yield Rig(device, context, fault=instrument.fault, faults=instrument.faults, emitting=emitting)
            finally:
                device.disconnect()

    return make


def name_of(check: Callable[..., None]) -> str:
    return check.__name__.removeprefix("check_")


@pytest.mark.parametrize("check", laser_contract, ids=name_of)
def test_itc4001_keeps_the_laser_contract(check: Callable[[Any], None]) -> None:
    check(rig_maker(ThorlabsITC4001, FakeITC, **LASER))


@pytest.mark.parametrize("check", thermometer_contract, ids=name_of)
def test_34970a_keeps_the_thermometer_contract(check: Callable[[Any], None]) -> None:
    check(rig_maker(Keysight34970A, FakeScanner))


@pytest.mark.parametrize("check", powermeter_contract, ids=name_of)
def test_pm100d_keeps_the_powermeter_contract(check: Callable[[Any], None]) -> None:
    check(rig_maker(ThorlabsPM100D, FakeMeter, position="pickoff", wavelength="808 nm"))


class Careless(ThorlabsITC4001):
    """Says that it went off and sends nothing."""

    def _off_now(self) -> OffReport:
        return OffReport(True, "surely off")


def test_the_contract_can_fail() -> None:
    ways_out = {check.__name__: check for check in laser_contract}["check_every_way_out_ends_emission"]
    with pytest.raises(AssertionError, match="light comes out after off"):
        ways_out(rig_maker(Careless, FakeITC, **LASER))
