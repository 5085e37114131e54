"""What `nanolab laser off` does: turn the laser off and see it off, with or without a run.

Nothing heavy is imported here, not even the library of the other commands: this one has to be quick.
No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import argparse
import json
import os
import socket
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from nanolab.errors import DeviceError, ExitCode, FileInvalidError, NanolabError, UsageError

GUARDIAN_WITHIN_S = 4.0
"""Wall time for a guardian's answer; it goes off at once and has a second or two to see it."""

SIMULATED = "simulated"


@dataclass
class Place:
    """A laser: its driver, where it really is, and the rest of its table in the bench file."""

    driver: str
    address: str
    settings: dict[str, Any] = field(default_factory=dict)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong as every other command does."""
        raise UsageError(f"{self.prog}: {message} (see `{self.prog} --help`)")


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    made = _Parser(
        prog="nanolab laser off",
        description="Turn the laser off at once and read it back: through the guardian while a run is on, else directly.",
        epilog="Exit codes: 0 seen to be off, 8 OFF NOT CONFIRMED. No replacement for the hardware interlock.",
        allow_abbrev=False,
    )
    made.add_argument("--bench", type=Path, metavar="FILE", help="bench file; default NANOLAB_BENCH, bench.toml")
    made.add_argument("--address", help="where the laser is, in place of the bench file's")
    made.add_argument("--driver", help="its driver, in place of the bench file's")
    made.add_argument("--sim", metavar="HOST:PORT", help="control port of the simulated bench that serves the laser")
    made.add_argument("--json", action="store_true", dest="as_json", help="one JSON object on standard output")
    return made


def run(words: Sequence[str]) -> int:
    """Do what the command line says and return the exit code; NanolabError where no laser could be told."""
    options = parser().parse_args(words)
    place = _place(options.bench, options.address, options.driver, options.sim)
    reports = _every_guardian() if place is None else [_turn_off(place)]
    confirmed = all(report["confirmed"] for report in reports)
    if options.as_json:
        sys.stdout.write(json.dumps({"confirmed": confirmed, "lasers": reports}) + "\n")
    for report in reports:
        if not report["confirmed"]:
            sentence = f"{report['device']}: OFF NOT CONFIRMED: {report['detail']}. {report['by_hand']}"
            sys.stderr.write(sentence + "\n")
        elif not options.as_json:
            sys.stdout.write(f"{report['device']}: OFF ({report['detail']})\n")
    return int(ExitCode.OK if confirmed else ExitCode.OFF_NOT_CONFIRMED)


def main(words: Sequence[str]) -> int:
    """Run the command by itself: every error is a sentence and an exit code."""
    try:
        return run(words)
    except NanolabError as error:
        if "--json" in words:
            sys.stdout.write(json.dumps({"error": {"code": int(error.exit_code), "message": str(error)}}) + "\n")
        sys.stderr.write(f"nanolab: {error}\n")
        return int(error.exit_code)


def _turn_off(place: Place) -> dict[str, Any]:
    """Ask the laser's guardian, else go off by the recipe."""
    from nanolab.safety.door import ask, file_for, published

    guardian = published(file_for(place.address))
    trouble = ""
    if guardian is not None:
        try:
            return dict(ask(guardian, "off", GUARDIAN_WITHIN_S)["report"])
        except (ConnectionError, KeyError) as error:
            # a file that a guardian left when it was killed says nothing; one that hangs holds the port
            trouble = "" if isinstance(error.__cause__, ConnectionRefusedError) else str(error)
    from nanolab.safety.off import LaserLine, go_off
    from nanolab.safety.recipes import recipe_for

    recipe = recipe_for(place.driver, place.address, place.settings)
    if place.address.startswith("tcp://"):
        # a plain socket says the same, and is there before pyvisa would be imported
        recipe = replace(recipe, line=replace(recipe.line, kind="serial"))
    line = LaserLine(recipe)
    report = go_off(line, "`nanolab laser off`").as_dict()
    line.close()
    if trouble and not report["confirmed"]:
        report["detail"] += f"; {trouble}"
    return report


def _every_guardian() -> list[dict[str, Any]]:
    """Have every guardian of this user go off: the address of a bench that a run serves for itself is not known."""
    from nanolab.safety.door import all_published, ask

    reports = []
    for guardian in all_published():
        try:
            reports.append(dict(ask(guardian, "off", GUARDIAN_WITHIN_S)["report"]))
        except (ConnectionError, KeyError) as error:
            if isinstance(error.__cause__, ConnectionRefusedError):
                continue  # it has been killed, and its file was left
            reports.append({
                "device": guardian.device, "confirmed": False, "detail": str(error), "by_hand": guardian.by_hand
            })  # fmt: skip
    if not reports:
        raise UsageError(
            "the laser of this bench is simulated and no run guards one; name a served bench with --sim HOST:PORT, "
            "or a laser with --address and --driver"
        )
    return reports


# ---- which laser is meant


def _place(bench: Path | None, address: str | None, driver: str | None, sim: str | None) -> Place | None:
    """Return which laser is meant; None for whichever is guarded."""
    if sim is not None:
        return _served(sim)
    table = _table(bench, needed=address is None or driver is None)
    own_driver, own_address = table.pop("driver", ""), table.pop("address", SIMULATED)
    where = str(address or own_address)
    if where == SIMULATED:
        return None
    named = str(driver or own_driver)
    if not named:
        raise UsageError("the laser's driver is not known; name it with --driver")
    return Place(named, where, table if named == own_driver else {})


def _table(bench: Path | None, *, needed: bool) -> dict[str, Any]:
    """Return the [laser] table of the bench file that is meant, unchecked; empty where there is none."""
    named = os.environ.get("NANOLAB_BENCH")
    path = bench or (Path(named) if named else Path("bench.toml"))
    if not (path.is_file() or bench or named):
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("laser", {})
    except (OSError, ValueError) as error:
        if needed:
            raise FileInvalidError(
                f"{path}: cannot be read ({error}); name the laser with --address and --driver"
            ) from error
        return {}
    if not isinstance(table, dict) or (needed and not table):
        raise FileInvalidError(f"{path}: there is no [laser] in it; name one with --address and --driver")
    return dict(table)


def _served(control: str) -> Place:
    """Ask a served bench where its laser is."""
    host, _, port = control.rpartition(":")
    try:
        with socket.create_connection((host or "127.0.0.1", int(port)), timeout=2.0) as connection:
            connection.sendall(b'{"op": "instruments"}\n')
            with connection.makefile("r", encoding="utf-8") as lines:
                laser = json.loads(lines.readline())["instruments"]["laser"]
        return Place(str(laser["driver"]), f"tcp://{laser['tcp']}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeviceError(
            "simulated bench",
            f"no laser is told of at {control} ({error})",
            remedy="Name the control port of `nanolab sim serve`",
        ) from error
