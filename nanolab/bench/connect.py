"""From a checked bench file to connected instruments, and back: laser off first, whatever happened."""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanolab.bench.aliquot import AliquotTaker
from nanolab.bench.config import BenchConfig, DeviceConfig
from nanolab.bench.cuvette import CuvetteChanger, Pipette, ask_at_terminal
from nanolab.bench.safeguard import Safeguard
from nanolab.discovery import DEVICES, load
from nanolab.engine.clock import Clock, WallClock
from nanolab.errors import DeviceError, NanolabError, OffNotConfirmedError, RefusedError, UsageError
from nanolab.interfaces import DeviceContext, OffReport
from nanolab.safety.arming import AT_THE_TERMINAL, Person
from nanolab.simulation import SimulationHandle, attach, start_server

NOT_ON_A_BENCH = "this driver was built by itself; a laser emits on an open bench only, behind guardian and interlock"

NO_LASER = "no laser is connected"

_log = logging.getLogger(__name__)


@dataclass
class Bench:
    """A bench with its instruments connected.

    ``devices`` by role (with ``cuvette``), ``instruments`` those that have a driver, ``simulated`` which of them are.
    """

    config: BenchConfig
    clock: Clock
    devices: dict[str, Any] = field(default_factory=dict)
    instruments: dict[str, Any] = field(default_factory=dict)
    simulated: dict[str, bool] = field(default_factory=dict)
    simulation: SimulationHandle | None = None
    safeguard: Safeguard | None = None
    off_report: OffReport | None = None

    @property
    def data_root(self) -> Path:
        """Folder of the run folders."""
        return self.config.bench.data

    def arm(self, *, yes: bool = False, person: Person = AT_THE_TERMINAL) -> None:
        """Arm the laser: every condition is looked at, and a real laser asks a person. RefusedError names what is missing.

        `yes` stands for the typing in scripts, never for a condition.
        """
        if self.safeguard is None:
            raise RefusedError(NO_LASER)
        what = f"the laser of bench '{self.config.bench.name}', up to {self.config.limits.max_power}"
        self.safeguard.arm(self.instruments, yes=yes, person=person, what=what)

    def emergency_off(self) -> OffReport:
        """Turn the laser off at once and read it back. Never raises; may be called from a signal handler.

        Through the guardian, where there is one: it waits for nothing that the driver has in hand. It guards no further
        emission then; that needs a bench opened anew.
        """
        guarded = None if self.safeguard is None else self.safeguard.off()
        self.off_report = guarded if guarded is not None and guarded.confirmed else self._off_by_driver(guarded)
        return self.off_report

    def _off_by_driver(self, guarded: OffReport | None) -> OffReport:
        laser = self.instruments.get("laser")
        if laser is None:
            return guarded or OffReport(True, NO_LASER)
        try:
            report: OffReport = laser.off()
        except Exception as error:  # noqa: BLE001 - a laser that cannot even be asked is one whose off is not confirmed
            report = OffReport(False, f"the laser could not be asked: {error}", "Turn it off at its key switch")
        return report

    def close(self) -> OffReport:
        """Turn the laser off, disconnect everything, end guardian and simulated bench. Never raises; may be repeated."""
        with _undisturbed():
            if self.instruments or self.off_report is None:
                self.emergency_off()
            for role in sorted(self.instruments, key=lambda role: role != "laser"):
                self.drop(role)
            self._end_safeguard()
            report = self.off_report or OffReport(True, NO_LASER)
            if not report.confirmed:
                _log.error("%s", report.words())
            if self.simulation is not None:
                self.simulation.close()
                self.simulation = None
        return report

    def _end_safeguard(self) -> None:
        safeguard, self.safeguard = self.safeguard, None
        last = None if safeguard is None else safeguard.close()
        if last is not None:
            self.off_report = last

    def drop(self, role: str) -> None:
        """Disconnect one instrument and forget it. Never raises."""
        try:
            self.instruments.pop(role).disconnect()
        except Exception:  # noqa: BLE001 - one instrument that cannot be closed must not keep the others open
            _log.exception("%s could not be disconnected", role)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C or SIGTERM interrupt the switching off; every exchange in it has a deadline."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def open_bench(
    config: BenchConfig, *, sim: SimulationHandle | str | None = None, clock: Clock | None = None
) -> Iterator[Bench]:
    """Connect every instrument of a bench; at the end of the block the laser goes off and all is closed.

    Parameters
    ----------
    config : BenchConfig
        The bench, checked.
    sim : SimulationHandle, str or None
        A simulated bench that is serving, or its control port ``HOST:PORT``; None: one is started where a device
        is simulated.
    clock : Clock or None
        Lab time; None: the simulated bench's own, or the wall clock.

    Raises
    ------
    DeviceError
        Naming device, address and what to do, where one does not answer; those already open are closed.
    OffNotConfirmedError
        In place of any other error where the laser was not seen to be off. Without an error nothing is raised:
        ``off_report`` tells.
    """
    bench = Bench(config, clock or WallClock())
    try:
        bench.simulation = simulation_for(config, sim)
        if bench.simulation is not None and clock is None:
            bench.clock = bench.simulation.simulation.clock()
        _guard(bench)
        _build(bench)
        failures = connect_all(bench.instruments)
        for role in failures:
            bench.drop(role)
        if failures:
            raise _as_one(failures, config, bench.simulation)
        yield bench
    except BaseException as error:
        report = bench.close()
        if not report.confirmed:
            raise OffNotConfirmedError(report.words()) from error
        raise
    bench.close()


def simulation_for(config: BenchConfig, sim: SimulationHandle | str | None) -> SimulationHandle | None:
    """Return the simulated bench that the devices need: one that is serving, or a new one; None where none does."""
    roles = config.simulated_roles
    if not roles:
        if sim is not None:
            raise UsageError(
                "--sim names a simulated bench, and no device of this one is simulated: "
                'set its address to "simulated" in the bench file'
            )
        return None
    drivers = {role: config.devices[role].driver for role in roles}
    if sim is None:
        place = config.simulation
        return start_server(world=place.world, seed=place.seed, speed=config.speed,
                            meter_position=_meter_position(config), drivers=drivers)  # fmt: skip
    handle = attach(sim) if isinstance(sim, str) else sim
    try:
        _check_served(handle, drivers)
        clock_is_ours(handle)
    except BaseException:
        handle.close()
        raise
    return handle


def clock_is_ours(handle: SimulationHandle) -> None:
    """Take hold of the clock of a bench that runs at full speed; RefusedError where another client has it."""
    if handle.simulation.speed() == "max":
        handle.simulation.advance(0.0)


def _check_served(handle: SimulationHandle, drivers: Mapping[str, str]) -> None:
    for role, driver in drivers.items():
        served = handle.instruments.get(role)
        if served is None:
            known = ", ".join(handle.instruments) or "none"
            raise DeviceError(
                role, f"the simulated bench at {handle.simulation.address} serves none (it serves: {known})"
            )
        if served["driver"] != driver:
            raise DeviceError(
                role,
                f"the bench file wants a {driver}, and the simulated bench at {handle.simulation.address} serves a "
                f"{served['driver']}",
                remedy=f'Write driver = "{served["driver"]}", or serve it with --instrument {role}={driver}',
            )


def _meter_position(config: BenchConfig) -> str | None:
    meter = config.powermeter
    position = getattr(meter.settings, "position", None) if meter is not None and meter.simulated else None
    return None if position is None else str(getattr(position, "value", position))


def _guard(bench: Bench) -> None:
    """Put interlock and guardian in place, where there is a laser."""
    config, simulation = bench.config, bench.simulation
    if config.laser is None:
        return
    bench.safeguard = Safeguard(config, bench.clock, bench.emergency_off)
    bench.safeguard.start(lambda role: address_of(role, config.devices[role], simulation))


def _build(bench: Bench) -> None:
    real = False
    for role, device in bench.config.devices.items():
        bench.simulated[role] = device.simulated
        real = real or not device.simulated
        bench.instruments[role] = build_device(role, device, bench.clock, bench.simulation, bench.safeguard)
    simulation = None if bench.simulation is None else bench.simulation.simulation
    ask = ask_at_terminal if real or simulation is None else None
    changer = CuvetteChanger(
        bench.clock.now,
        load=None if simulation is None else simulation.load,
        ask=ask,
        **({} if bench.safeguard is None else {"changed": bench.safeguard.begin}),
    )
    pipette = Pipette(bench.clock.now, load=None if simulation is None else simulation.add, ask=ask)
    aliquot = AliquotTaker(bench.clock.now, None if simulation is None else simulation.withdraw, ask)
    bench.devices = {**bench.instruments, "cuvette": changer, "addition": pipette, "aliquot": aliquot}
    bench.simulated["cuvette"] = changer.simulated


def build_device(
    role: str,
    device: DeviceConfig,
    clock: Clock,
    simulation: SimulationHandle | None,
    safeguard: Safeguard | None = None,
) -> Any:
    """Build one driver without opening anything; without a `safeguard` it emits nothing. NanolabError where it cannot be imported."""
    driver_class = load(DEVICES, device.driver)
    simulated = device.simulated and simulation is not None
    address = address_of(role, device, simulation)
    hooks: dict[str, Any] = {"may_emit": lambda: NOT_ON_A_BENCH}
    if safeguard is not None:
        address = safeguard.relayed(role, address)
        hooks = safeguard.hooks(role)
    context = DeviceContext(
        name=role,
        address=address,
        settings=device.settings,
        simulated=simulated,
        lab_time=clock.now,
        wall_clock=clock.wall,
        **hooks,
    )
    return driver_class(context)


def address_of(role: str, device: DeviceConfig, simulation: SimulationHandle | None) -> str:
    """Return where an instrument really is."""
    if not device.simulated or simulation is None:
        return device.address
    return f"tcp://{simulation.instruments[role]['tcp']}"


def connect_all(instruments: Mapping[str, Any]) -> dict[str, Exception]:
    """Connect instruments side by side; return what failed, by role. Interrupted: waits for those under way."""
    failures: dict[str, Exception] = {}

    def connect(role: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - told of below, by role
            failures[role] = error

    if instruments:
        with ThreadPoolExecutor(len(instruments), thread_name_prefix="connect") as pool:
            for role, instrument in instruments.items():
                pool.submit(connect, role, instrument.connect)
    return {role: failures[role] for role in instruments if role in failures}


def explained(role: str, device: DeviceConfig, address: str, error: Exception) -> str:
    """Say in one sentence which device did not connect, where it is, and why."""
    words = (
        str(error).removeprefix(f"{role}: ") if isinstance(error, NanolabError) else f"{type(error).__name__}: {error}"
    )
    simulated = " (simulated)" if device.simulated else ""
    where = "" if address in words else f" at {address}{simulated}"
    tail = (
        "" if isinstance(error, NanolabError) else ". Look at power, cable and address, then run `nanolab bench doctor`"
    )
    return f"{device.driver}{where}: {words}{tail}"


def _as_one(
    failures: Mapping[str, Exception], config: BenchConfig, simulation: SimulationHandle | None
) -> NanolabError:
    others = [
        error for error in failures.values() if isinstance(error, NanolabError) and not isinstance(error, DeviceError)
    ]
    if others:
        return others[0]  # a refusal or a wrong setting has its own exit code
    texts = {
        role: explained(role, config.devices[role], address_of(role, config.devices[role], simulation), error)
        for role, error in failures.items()
    }
    first, *rest = texts
    more = "".join(f"\n{role}: {texts[role]}" for role in rest)
    error = DeviceError(first, texts[first] + more)
    error.__cause__ = failures[first]
    return error
