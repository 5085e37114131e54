"""Aliquots in a release run: which looks they follow, whether there is enough to withdraw, what was taken."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nanolab.analysis.cautions import Cautions
from nanolab.assay import Parameter
from nanolab.errors import AnalysisRefusesError, RefusedError, UsageError
from nanolab.models.aliquots import Aliquots
from plans.release.schedule import Step

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig
    from plans.release.record import Course

SAMPLED, REPLACED = "sampled", "replaced"
"""Marks: an aliquot was withdrawn, as much fresh medium was put in; their number is mL."""

PARAMETERS = (
    Parameter("sample_ml", "number", 0.0, "aliquot withdrawn after some of the looks; 0: nothing is withdrawn", "mL", 0.0, 100.0),
    Parameter("replace", "choice", "yes", "whether fresh medium is put in for each aliquot", choices=("yes", "no")),
    Parameter("samples", "integer", 8, "looks after which an aliquot is withdrawn, log-spaced among them", low=1, high=200),
)  # fmt: skip


def sampled_looks(look_s: Sequence[float], count: int) -> list[float]:
    """Return `count` of the times of looks (s, increasing), spread evenly in the logarithm, the last one among them."""
    if count >= len(look_s):
        return list(look_s)
    wanted = np.geomspace(look_s[0], look_s[-1], count + 1)[1:]
    chosen: list[int] = []
    for number, at in enumerate(wanted.tolist()):
        nearest = int(np.argmin(np.abs(np.log(np.asarray(look_s) / at))))
        first, last = (chosen[-1] + 1 if chosen else 0), len(look_s) - (count - number)
        chosen.append(min(max(nearest, first), last))
    return [look_s[index] for index in chosen]


def with_aliquots(steps: Sequence[Step], values: Mapping[str, Any]) -> list[Step]:
    """Return the steps of a course with its aliquots; the same steps where nothing is withdrawn."""
    ml = float(values.get("sample_ml", 0.0))
    if ml == 0.0:
        return list(steps)
    word = REPLACED if values["replace"] == "yes" else ""
    times = sampled_looks([step.at_s for step in steps if step.what == "look"], int(values["samples"]))
    return [*steps, *(Step(at_s, "sample", ml, word) for at_s in times)]


def check_aliquots(steps: Sequence[Step], values: Mapping[str, Any], sample: "SampleConfig") -> None:
    """Refuse aliquots for which there is not enough liquid. RefusedError; UsageError where there are more than looks."""
    taken = [step for step in steps if step.what == "sample"]
    if not taken:
        return
    looks = sum(step.what == "look" for step in steps)
    if int(values["samples"]) > looks:
        raise UsageError(f"--set samples={values['samples']}: there are {looks} looks, and an aliquot follows a look")
    volume, least, ml = sample.sample.volume, sample.release.least_volume.value, taken[0].value
    asked = f"sample_ml={ml:g}, samples={len(taken)}, replace={values['replace']}"
    if volume is None:
        raise RefusedError(
            f"{asked}: how much there is to withdraw from is not known; enter [sample] volume in sample.toml"
        )
    if ml >= volume.value:
        raise RefusedError(f"{asked}: an aliquot is more than the {volume.value:g} mL in the cuvette; withdraw less")
    evaporated = volume.value * sample.release.evaporation.value * taken[-1].at_s / 3600.0
    # before the last one is replaced it is missing too
    left = volume.value - evaporated - (ml if values["replace"] == "yes" else ml * len(taken))
    if left < least:
        raise RefusedError(
            f"{asked}: {max(left, 0.0):.3g} of {volume.value:g} mL would be left ({evaporated:.2g} mL evaporate until then) and beam "
            f"and probe need {least:g} mL ([release] least_volume); withdraw less or fewer, or replace"
        )


def check_taken(course: "Course", steps: Sequence[Step], cautions: Cautions) -> None:
    """Say where fewer or other aliquots were taken than planned: the fit follows those that were taken."""
    wanted = sum(step.what == "sample" for step in steps)
    taken = len(course.when(SAMPLED))
    if taken != wanted:
        cautions.add(
            "aliquots_missed",
            f"{taken} aliquots were withdrawn, {wanted} were planned: the fit follows those withdrawn",
        )


def planned(steps: Sequence[Step], sample: "SampleConfig") -> Aliquots | None:
    """Return the aliquots that the steps will take, as believed; None where they take none."""
    taken = [
        (step.at_s, step.value, step.value if step.word == REPLACED else 0.0) for step in steps if step.what == "sample"
    ]
    return _aliquots(taken, sample)


def taken_from(course: "Course", sample: "SampleConfig") -> Aliquots | None:
    """Return the aliquots that a course's marks tell of, nominal volumes; None where there are none."""
    taken: list[tuple[float, float, float]] = []
    for time, what, value in course.marks:
        if what == SAMPLED:
            taken.append((time, value, 0.0))
        elif what == REPLACED and taken:
            taken[-1] = (*taken[-1][:2], value)
    return _aliquots(taken, sample)


def _aliquots(taken: Sequence[tuple[float, float, float]], sample: "SampleConfig") -> Aliquots | None:
    if not taken:
        return None
    if sample.sample.volume is None:
        raise AnalysisRefusesError(
            "aliquots were withdrawn and the volume that they were withdrawn from is not known; enter [sample] volume"
        )
    times, volumes, returned = (np.array(column) for column in zip(*taken, strict=True))
    return Aliquots(times / 3600.0, volumes, returned, sample.sample.volume.value, sample.release.insert.value)
