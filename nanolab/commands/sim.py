"""`nanolab sim serve | world`: the simulated bench as a process of its own, and what is true in it."""

from pathlib import Path
from typing import Annotated

import typer

from nanolab.commands.output import AsJson, write_json, write_line
from nanolab.errors import UsageError

app = typer.Typer(rich_markup_mode=None, help="Serve the simulated bench, and print its world.")

WorldFile = Annotated[Path | None, typer.Option("--world", help="World file: what is true; default the example world.")]


@app.command()
def serve(
    speed: Annotated[
        str, typer.Option(help="Lab seconds per second, or 'max': as fast as a client advances it.")
    ] = "1",
    seed: Annotated[int, typer.Option(help="Seed of all noise.")] = 0,
    world: WorldFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="The ready line as one JSON object.")] = False,
    truth: Annotated[bool, typer.Option("--truth/--no-truth", help="Open the truth port (for tests).")] = True,
    meter_position: Annotated[
        str | None,
        typer.Option(help="Power meter: sample_plane, behind_cuvette or pickoff; default as the world says."),
    ] = None,
    instrument: Annotated[
        list[str] | None, typer.Option(help="ROLE=DRIVER; may be repeated. Default: one of each.")
    ] = None,
) -> None:
    """Serve until standard input closes or SIGTERM comes; one line on standard output says where everything is."""
    from nanolab.bench.config import read_speed
    from nanolab.discovery import WORLDS, load

    try:
        factor = read_speed(speed)
    except ValueError as error:
        raise UsageError(f"--speed: {error}") from None
    code = load(WORLDS, "server")(
        world_file=world,
        seed=seed,
        speed=None if factor == "max" else factor,
        truth=truth,
        json_ready=as_json,
        instruments=_instruments(instrument),
        meter_position=meter_position,
    )
    raise typer.Exit(int(code))


def _instruments(texts: list[str] | None) -> dict[str, str] | None:
    if not texts:
        return None
    from nanolab.bench.config import ROLES
    from nanolab.errors import nearest

    drivers = {}
    for text in texts:
        role, separator, driver = text.partition("=")
        if not separator or not driver:
            raise UsageError(f"--instrument {text}: write ROLE=DRIVER, for example laser=thorlabs_itc4001")
        if role not in ROLES:
            raise UsageError(f"--instrument {text}: there is no role '{role}'; {nearest(role, list(ROLES))}")
        drivers[role] = driver
    return drivers


@app.command()
def world(world: WorldFile = None, as_json: AsJson = False) -> None:
    """Print the world file with every key explained; the true efficiency is photothermal.efficiency."""
    from nanolab.discovery import WORLDS, load

    text = str(load(WORLDS, "describe")(world) if world is not None else load(WORLDS, "describe")())
    if as_json:
        import tomllib

        write_json({"world": tomllib.loads(text)})
        return
    write_line(text.rstrip("\n"))
