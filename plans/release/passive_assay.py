"""`nanolab run release`: passive release through a dialysis membrane, with free cargo through the same one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.assay import Forecast, Parameter, Report, Setup
from nanolab.errors import AnalysisRefusesError
from nanolab.models.aliquots import sampled
from nanolab.models.release_course import arrhenius, through_membrane
from plans.release.aliquots import PARAMETERS as ALIQUOTS
from plans.release.aliquots import SAMPLED, check_aliquots, check_taken, planned, taken_from, with_aliquots
from plans.release.bench_assay import BLANKS, CADENCE, TEMPERATURE, ReleaseAssay
from plans.release.bench_report import Findings, check_levels, report, undrifted
from plans.release.continuing import chain
from plans.release.expectation import expect
from plans.release.grid import Grid, grid_of
from plans.release.laws_on_bench import models_of
from plans.release.mass_balance import balance_of, removed_from
from plans.release.outline import Expected, RoleCourse
from plans.release.passive import Profile, fit_passive, inputs_of, released
from plans.release.record import Course, course_of, limits_of, photometry_of, seen_free
from plans.release.schedule import Step, looks

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig
    from nanolab.journal.reader import Run

Array = npt.NDArray[np.float64]

JUST_AFTER_H = 1e-4
FEWEST_LOOKS = 5
LEAST_SEEN = 2.0
"""Percent of the dose by which what is seen must change."""

NAMES = ("k_release", "burst", "k_burst", "plateau", "membrane_rate")
TITLES = {
    "k_release": "rate at 37 °C",
    "burst": "burst",
    "k_burst": "rate of the burst",
    "plateau": "plateau",
    "membrane_rate": "rate of the membrane",
    "drift": "concentrated by evaporation",
}


def dialysis_courses(values: Mapping[str, Any], hours: float, points: int, free_hours: float) -> list[RoleCourse]:
    """Return free cargo, then carriers, behind the same membrane."""
    temperature, cadence = float(values["temperature_c"]), float(values["cadence_s"])

    def steps(length_h: float, count: int) -> list[Step]:
        # the control is handled as the sample is
        return with_aliquots([Step(at_s, "look") for at_s in looks(3600.0 * length_h, points=count)], values)

    return [
        RoleCourse("free", "free", steps(free_hours, min(points, 25)), temperature, cadence),
        RoleCourse("sample", "dialysis", steps(hours, points), temperature, cadence),
    ]


class PassiveAssay(ReleaseAssay):
    """Passive release."""

    name = "release"
    summary = "Passive release through a dialysis membrane: free cargo as control, then carriers; laser off."

    def parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        return (
            Parameter("hours", "number", 24.0, "length of the release", "h", 0.5, 240.0),
            Parameter("points", "integer", 40, "looks: dense first, then log-spaced", low=8, high=200),
            Parameter("free_hours", "number", 8.0, "length of the control with free cargo", "h", 0.5, 240.0),
            TEMPERATURE,
            CADENCE,
            BLANKS,
            *ALIQUOTS,
        )

    def outline(self, values: Mapping[str, Any]) -> Sequence[RoleCourse]:
        """Return free cargo and carriers."""
        return dialysis_courses(values, float(values["hours"]), int(values["points"]), float(values["free_hours"]))

    def forecast(self, setup: Setup) -> Forecast:
        """Predict from the files alone. RefusedError where there is not enough liquid for the aliquots."""
        check_aliquots(_sample_steps(self, setup), setup.values, setup.sample)
        return super().forecast(setup)

    def expected(self, setup: Setup) -> Expected:
        """Predict the profile beyond the membrane at constant temperature, thinned by the planned aliquots."""
        time = np.concatenate([[0.0], np.geomspace(0.02, float(setup.values["hours"]), 80)])
        taken = planned(_sample_steps(self, setup), setup.sample)
        if taken is not None:
            # either side of each: the curve steps
            time = np.unique(np.concatenate([time, taken.time_h, np.minimum(taken.time_h + JUST_AFTER_H, time[-1])]))
        degrees = float(setup.values["temperature_c"])
        energy = setup.sample.release.activation_energy.value
        grid = Grid(time, np.full(time.size, degrees), np.full(time.size, np.nan), np.arange(time.size))

        def curve(v: Mapping[str, float]) -> Array:
            rate = v["k_release"] * arrhenius(grid.temperature_c, energy)
            left = released(grid, min(v["burst"], v["plateau"]), v["k_burst"], v["plateau"], rate, energy)
            if taken is not None:
                return sampled(time, left, v["membrane_rate"], taken).seen
            return through_membrane(time, left, v["membrane_rate"])

        return expect(setup.sample, NAMES, time, curve, "k_release")

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Fit free cargo and carriers at once."""
        cautions = Cautions()
        reference = runs["reference"]
        free = course_of(chain(runs, "free"), reference, cautions)
        sample = course_of(chain(runs), reference, cautions)
        findings = passive_findings(free, sample, setup.sample, cautions)
        check_taken(sample, _sample_steps(self, setup), cautions)
        findings.photometry = photometry_of(reference, sample) | limits_of(reference, setup.sample, cautions)
        found = report(
            findings, forecast.inputs["expected"], f"release of {setup.sample.sample.name}", simulated=setup.simulated
        )
        if found.result is not None:
            found.result["models"] = models_of(findings)
        return found


def _sample_steps(assay: PassiveAssay, setup: Setup) -> Sequence[Step]:
    return next(one.steps for one in assay.outline(setup.values) if one.role == "sample")


def profile_of(course: Course, sample: "SampleConfig") -> Profile:
    """Return a course behind a membrane as percent of the nominal dose."""
    seen = seen_free(course, sample.sample.path_length.value)
    times = np.array([look.time_s for look in course.looks])
    percent = 100.0 * np.array([one.value for one in seen]) / sample.release.concentration.value
    if percent.size < FEWEST_LOOKS:
        raise AnalysisRefusesError(f"{percent.size} looks cannot show a release: at least {FEWEST_LOOKS} are needed")
    if float(np.ptp(percent)) < LEAST_SEEN:
        raise AnalysisRefusesError(
            f"the cargo that is seen stays within {np.ptp(percent):.2g} % of the dose: nothing comes through the membrane, or "
            "nothing was filled in"
        )
    taken = taken_from(course, sample)
    deeds = [time for time, _ in course.when(SAMPLED)]
    return Profile(grid_of(times, course.time_s, course.temperature_c, course.ph, deeds_s=deeds), percent, taken)


def passive_findings(free: Course, carriers: Course, sample: "SampleConfig", cautions: Cautions) -> Findings:
    """Fit both courses and gather what the report tells."""
    from plans.release.picture import Line

    one, other = profile_of(free, sample), profile_of(carriers, sample)
    inputs = inputs_of(sample, aliquots=one.taken is not None or other.taken is not None)
    joint = fit_passive(one, other, inputs)
    balance = balance_of(other, joint, inputs, sample.release.dose_ratio.value)
    scale = 100.0 / joint.found["level"].value
    fitted = np.split(joint.fit.fitted, [one.percent.size])
    lines = [
        Line(label, profile.grid.time[profile.grid.looks], scale * profile.percent, scale * curve)
        for label, profile, curve in (("free cargo", one, fitted[0]), ("carriers", other, fitted[1]))
    ]
    drift = joint.found["drift"]
    check_levels(undrifted(lines[-1], drift.value) if balance is None else balance.released, sample, cautions)
    membrane, rate = joint.found["membrane_rate"].value, joint.found["k_release"].value
    if membrane < 3.0 * rate:
        cautions.add(
            "membrane_limits",
            f"the membrane ({membrane:.3g} 1/h) is not three times faster than the release ({rate:.3g} 1/h): the bag shows too",
        )
    free_end = lines[0].fitted[-1] if lines[0].fitted is not None else np.nan
    controls = {
        "free": {"equilibrium_percent": float(joint.found["level"].value), "last_percent_of_it": float(free_end)}
    }
    if one.taken is not None:
        controls["free"]["removed_percent"] = removed_from(one, joint, inputs)
    return Findings(
        joint, NAMES, "k_release", {"free": free, "sample": carriers}, lines, cautions,
        derived={"drift": drift.quantity}, controls=controls, titles=TITLES, balance=balance,
    )  # fmt: skip


ASSAY = PassiveAssay()
