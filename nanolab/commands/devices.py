"""`nanolab devices`: the drivers that are installed, and what the bench file says is there."""

from typing import Any

from nanolab.commands.output import AsJson, BenchFile, write_json, write_line, write_table


def command(bench: BenchFile = None, as_json: AsJson = False) -> None:
    """List the drivers known, and the devices on the bench. Nothing is opened (`nanolab bench doctor` does)."""
    from nanolab.bench.defaults import find_bench
    from nanolab.discovery import DEVICES, SIMULATORS, entry_points_of

    config = find_bench(bench)
    simulators = entry_points_of(SIMULATORS)
    drivers: list[dict[str, Any]] = [
        {"driver": name, "about": _about(name), "simulator": name in simulators} for name in entry_points_of(DEVICES)
    ]
    devices: list[dict[str, Any]] = [
        {"role": role, "simulated": device.simulated, **device.model_dump(mode="json")}
        for role, device in config.devices.items()
    ]
    if as_json:
        write_json({"bench": config.bench.name, "devices": devices, "drivers": drivers})
        return
    write_line(f"On the bench '{config.bench.name}':")
    write_table(("role", "driver", "address"), [(d["role"], d["driver"], d["address"]) for d in devices])
    write_line()
    write_line("Drivers known:")
    write_table(
        ("driver", "simulator", "about"),
        [(d["driver"], "yes" if d["simulator"] else "no", d["about"]) for d in drivers],
    )


def _about(name: str) -> str:
    from nanolab.discovery import DEVICES, load
    from nanolab.errors import NanolabError

    try:
        doc = load(DEVICES, name).__doc__ or ""
    except NanolabError as error:
        return str(error)
    first = str(doc).strip().partition("\n")[0]
    return first.partition(". ")[0].rstrip(".")
