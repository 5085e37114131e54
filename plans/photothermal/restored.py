"""A finished run with all that its analysis needs, from run folders alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanolab.errors import FileInvalidError, NanolabError
from nanolab.restore import setup_of
from plans.photothermal.beliefs import conditions_from
from plans.photothermal.conditions import Conditions
from plans.photothermal.prediction import Prediction
from plans.photothermal.record import curve_of
from plans.photothermal.report import Gathered, gather

if TYPE_CHECKING:
    from nanolab.assay import Setup
    from nanolab.journal.reader import Run


@dataclass(frozen=True)
class Restored:
    """A run with its setup, its blank and reference, its prediction made again, and what was amiss on the way."""

    run: "Run"
    setup: "Setup"
    runs: Mapping[str, "Run"]
    prediction: Prediction
    problems: tuple[str, ...]

    @cached_property
    def gathered(self) -> Gathered:
        """What is believed, completed by what the runs say."""
        return gather(self.runs, self.believed, self.setup.sample, self.spectrum_file)

    @property
    def believed(self) -> Conditions:
        """Conditions as the files of the run state them, before the runs complete them."""
        return conditions_from(self.setup.sample, self.setup.bench)

    @property
    def spectrum_file(self) -> Path | None:
        """File of a spectrum measured elsewhere; None where it was measured in the run, or not at all."""
        spectrum = self.setup.values.get("spectrum", "measure")
        return None if spectrum in {"measure", "none"} else Path(spectrum)


def restore(run_path: Path) -> Restored:
    """Read a run of a sample; FileInvalidError in a sentence where it is none, or was cut short before it began."""
    from nanolab.journal.reader import open_run
    from plans.photothermal.assay import ASSAY

    run = open_run(run_path, salvage=True)
    if run.start.get("role") != "sample":
        role = run.start.get("role") or "run of another kind"
        raise FileInvalidError(
            f"this is a {role} without particles: its efficiency is not defined; choose the sample's run"
        )
    curve_of(run)  # says in a sentence what a run that was cut short lacks, before anything is averaged
    setup = setup_of(run)
    problems: list[str] = []
    runs = {"sample": run, **_others(run, problems)}
    # the blank of this run is among the runs now, whoever measured it
    setup = replace(setup, blank="run" if "blank" in runs else "none")
    forecast = ASSAY.forecast(setup)
    if run.start.get("prediction") != forecast.prediction:
        problems.append(
            "this version of nanolab predicts otherwise than the one that made the run; see the run's own file"
        )
    return Restored(run, setup, runs, forecast.inputs["prediction"], tuple(problems))


def _others(run: "Run", problems: list[str]) -> dict[str, "Run"]:
    """Blank and reference of a run, from the same day's folder or the whole data folder."""
    from nanolab.journal.catalog import find_run
    from nanolab.journal.reader import open_run

    found = {}
    for role, uid in run.start.get("references", {}).items():
        for root in (run.path.parent, run.path.parent.parent):
            try:
                found[role] = open_run(find_run(root, uid).path, salvage=True)
                break
            except NanolabError:
                continue
        else:
            problems.append(f"the {role} of this run ({uid[:8]}) is not in the data folder: analysed without it")
    return found


def stored_result(run_path: Path) -> dict[str, Any] | None:
    """Return the stored result with a verdict; None where there is none that can be read."""
    try:
        found = json.loads((run_path / "result.json").read_bytes())
        return found if isinstance(found["verdict"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
