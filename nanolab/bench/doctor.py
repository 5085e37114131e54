"""`nanolab bench doctor`: one row for each thing that can keep a bench from working, with what to do about it."""

import contextlib
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nanolab
from nanolab.bench.config import BenchConfig
from nanolab.bench.defaults import find_bench
from nanolab.discovery import DEVICES, entry_points_of, load
from nanolab.errors import ExitCode, FileInvalidError, NanolabError
from nanolab.interfaces import HealthCheck, Instrument

PACKAGES = ("bluesky", "ophyd", "numpy", "scipy", "lmfit", "pydantic", "pyserial", "pyvisa", "pyvisa-py", "seabreeze")
OUR_NAMES = ("nanolab", "devices", "plans", "sims", "dashboard")
LEAST_FREE_BYTES = 500_000_000
"""A run of a day with a spectrum every ten seconds takes about 150 MB."""


def examine(bench: Path | None = None) -> tuple[list[HealthCheck], ExitCode]:
    """Look at everything and return the rows, and the exit code: 3 for a bad bench file, 4 for anything else amiss."""
    rows = [check_python(), *check_names(), check_drivers()]
    try:
        config = find_bench(bench)
    except FileInvalidError as error:
        rows += [HealthCheck("bench file", False, line, "mend the file") for line in str(error).splitlines()]
        return rows, ExitCode.INVALID_FILE
    named = ", ".join(config.devices) or "no device"
    rows.append(HealthCheck("bench file", True, f"'{config.bench.name}' with {named}"))
    rows.append(check_disk(config.bench.data))
    rows += check_devices(config)
    return rows, ExitCode.OK if all(row.ok for row in rows) else ExitCode.DEVICE_SILENT


def check_python() -> HealthCheck:
    """Look at Python and the packages that the instruments need."""
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    detail = f"Python {platform.python_version()} at {sys.prefix}; {', '.join(found)}"
    if missing:
        return HealthCheck("python", False, f"{detail}; missing: {', '.join(missing)}", "python -m pip install nanolab")
    return HealthCheck("python", True, detail)


def check_names(search_path: Sequence[str] | None = None) -> list[HealthCheck]:
    """Look whether a file or folder of the user hides one of our packages (their names are common words)."""
    home = Path(nanolab.__file__).resolve().parent.parent
    path = ["", *sys.path] if search_path is None else list(search_path)
    rows = []
    for name in OUR_NAMES:
        spec = PathFinder.find_spec(name, [entry or str(Path.cwd()) for entry in path])
        places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
        foreign = next((Path(p).resolve() for p in places if p and home not in Path(p).resolve().parents), None)
        if foreign is not None:
            rows.append(
                HealthCheck(
                    "names",
                    False,
                    f"{foreign} hides the package '{name}' of nanolab",
                    "rename it, or work in another folder",
                )
            )
    return rows or [HealthCheck("names", True, f"nothing hides {', '.join(OUR_NAMES)} in {home}")]


def check_drivers() -> HealthCheck:
    """Import every driver that is installed; what one lacks is said here and not in the middle of a run."""
    broken = []
    for name in entry_points_of(DEVICES):
        try:
            load(DEVICES, name)
        except NanolabError as error:
            broken.append(str(error))
    if broken:
        return HealthCheck(
            "drivers", False, "; ".join(broken), "install what is missing, or remove the driver's package"
        )
    return HealthCheck("drivers", True, ", ".join(entry_points_of(DEVICES)))


def check_disk(data: Path) -> HealthCheck:
    """Write, read back and remove a file in the data folder (or where it will be made); look at the free space."""
    folder = next(place for place in (data.absolute(), *data.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"nanolab")
            stream.flush()
            stream.seek(0)
            if stream.read() != b"nanolab":
                raise OSError("what was written did not come back")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return HealthCheck(
            "disk", False, f"{folder}: {error.strerror or error}", "set [bench] data to a folder that you may write to"
        )
    detail = f"{data}: writable, {free / 1e9:.1f} GB free"
    if free < LEAST_FREE_BYTES:
        return HealthCheck("disk", False, detail, f"make room: {LEAST_FREE_BYTES / 1e9:.1f} GB at least")
    return HealthCheck("disk", True, detail)


def check_devices(config: BenchConfig) -> list[HealthCheck]:
    """Connect every instrument, ask who and how it is, and disconnect; one that is silent does not hide the others."""
    from nanolab.bench.connect import address_of, build_device, connect_all, explained, simulation_for
    from nanolab.engine.clock import Clock, WallClock

    rows: list[HealthCheck] = []
    with contextlib.ExitStack() as stack:
        clock: Clock = WallClock()
        simulation = None
        try:
            simulation = simulation_for(config, None)
            if simulation is not None:
                stack.callback(simulation.close)
                clock = simulation.simulation.clock()
        except NanolabError as error:
            return [
                HealthCheck("simulated bench", False, str(error), "run `nanolab sim serve` to see it fail by itself")
            ]
        built = {}
        for role, device in config.devices.items():
            try:
                built[role] = build_device(role, device, clock, simulation)
            except NanolabError as error:
                rows.append(HealthCheck(role, False, str(error)))
        for instrument in built.values():
            stack.callback(instrument.disconnect)
        failures = connect_all(built)
        for role, instrument in built.items():
            device = config.devices[role]
            address = address_of(role, device, simulation)
            if role in failures:
                words = explained(role, device, address, failures[role])
                rows.append(
                    HealthCheck(role, False, words, "look at power, cable and address; is another program using it?")
                )
            else:
                rows += _well(role, instrument, f"{address}{' (simulated)' if device.simulated else ''}")
    return rows


def _well(role: str, instrument: Instrument, where: str) -> Iterator[HealthCheck]:
    try:
        yield HealthCheck(role, True, f"{' '.join(instrument.identity().values())} at {where}")
        for row in instrument.health():
            if row.what != "identity" or not row.ok:  # who it is stands in the row above
                yield replace(row, what=f"{role}: {row.what}")
    except NanolabError as error:
        yield HealthCheck(role, False, str(error))
