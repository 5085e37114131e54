"""`nanolab run release_ph`: release while the pump makes the medium more acid, step by step, closed loop on the probe."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.assay import Forecast, Parameter, Report, Setup
from nanolab.errors import AnalysisRefusesError, UsageError
from nanolab.models.release_course import arrhenius, through_membrane
from nanolab.quantities import Quantity
from plans.release.acid import PhSteps, fit_acid, ranking, specific_acid
from plans.release.bench_assay import BLANKS, CADENCE, TEMPERATURE, ReleaseAssay
from plans.release.bench_report import Findings, check_levels, report, undrifted
from plans.release.continuing import chain
from plans.release.expectation import expect
from plans.release.grid import Grid
from plans.release.joint import Joint
from plans.release.outline import Expected, RoleCourse
from plans.release.passive import inputs_of, released
from plans.release.passive_assay import TITLES as PASSIVE_TITLES
from plans.release.passive_assay import profile_of
from plans.release.ph_check import ROLE, check_of, indicator_course, words
from plans.release.picture import Line
from plans.release.record import Course, course_of, limits_of, photometry_of
from plans.release.schedule import Step, even, looks

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig
    from nanolab.journal.reader import Run

Array = npt.NDArray[np.float64]

NAMES = ("k_acid", "k_release", "burst", "k_burst", "plateau", "membrane_rate")
TITLES = {**PASSIVE_TITLES, "k_acid": "rate by acid", "k_release": "rate at 37 °C in the medium"}
NEUTRAL_PH = 7.4


class AcidAssay(ReleaseAssay):
    """Release at several pH."""

    name = "release_ph"
    summary = (
        "Release through a membrane in steps of acid, dosed by the pump until the probe shows the pH: k(pH); laser off."
    )
    roles: Sequence[str] = ("spectrometer", "cuvette_holder", "pump", "ph")

    def parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        return (
            Parameter("ph_steps", "numbers", [6.5, 5.5, 5.0], "pH of the steps, falling", low=3.0, high=7.4),
            Parameter("stage_h", "number", 3.0, "length of the start and of each step", "h", 0.2, 48.0),
            Parameter("points", "integer", 14, "looks in each stage", low=4, high=100),
            Parameter("free_hours", "number", 5.0, "length of the control with free cargo", "h", 0.5, 240.0),
            TEMPERATURE,
            CADENCE,
            BLANKS,
            Parameter(
                "check_ph",
                "choice",
                "yes",
                "hold the probe against an indicator in the medium, as a control before the others",
                choices=("yes", "no"),
            ),
        )

    def outline(self, values: Mapping[str, Any]) -> Sequence[RoleCourse]:
        """Return medium with indicator where asked for, free cargo, then carriers with a step of acid at the end of each stage.

        UsageError where the pH rises.
        """
        targets = [float(value) for value in values["ph_steps"]]
        if any(later >= earlier for earlier, later in pairwise(targets)):
            raise UsageError(f"--set ph_steps={targets}: the pH must fall from step to step: the pump holds acid only")
        # runs of earlier versions have no such parameter, and had no such control
        check = [indicator_course(values)] if values.get("check_ph") == "yes" else []
        return [*check, *acid_courses(values, targets)]

    def expected(self, setup: Setup) -> Expected:
        """Predict the profile beyond the membrane, the pH falling at once at each step."""
        stage = float(setup.values["stage_h"])
        targets = [NEUTRAL_PH, *(float(value) for value in setup.values["ph_steps"])]
        time = np.linspace(0.0, stage * len(targets), 160)
        ph = np.array(targets)[np.minimum((time / stage).astype(int), len(targets) - 1)]
        degrees = float(setup.values["temperature_c"])
        grid = Grid(time, np.full(time.size, degrees), ph, np.arange(time.size))
        energy = setup.sample.release.activation_energy.value

        def curve(v: Mapping[str, float]) -> Array:
            rate = specific_acid(grid, np.array([v["k_release"], v["k_acid"]])) * arrhenius(grid.temperature_c, energy)
            left = released(grid, min(v["burst"], v["plateau"]), v["k_burst"], v["plateau"], rate, energy)
            return through_membrane(time, left, v["membrane_rate"])

        return expect(setup.sample, NAMES, time, curve, "k_acid")

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Fit free cargo and the steps at once, by each model of k(pH)."""
        cautions = Cautions()
        reference = runs["reference"]
        free = course_of(chain(runs, "free"), reference, cautions)
        sample = course_of(chain(runs), reference, cautions)
        findings = acid_findings(free, sample, setup.sample, cautions, every_model=True)
        if ROLE in runs:
            check = check_of(runs[ROLE], reference, setup.sample, cautions)
            findings.controls = {**findings.controls, "optical_ph": check}
            findings.told = [("pH of the medium", line)] if (line := words(check)) else []
        findings.photometry = photometry_of(reference, sample) | limits_of(reference, setup.sample, cautions)
        title = f"release of {setup.sample.sample.name} by acid"
        return report(findings, forecast.inputs["expected"], title, simulated=setup.simulated)


def acid_courses(values: Mapping[str, Any], targets: Sequence[float]) -> list[RoleCourse]:
    """Return free cargo, then carriers."""
    stage_s, points = 3600.0 * float(values["stage_h"]), int(values["points"])
    steps = [Step(at_s, "look") for at_s in looks(stage_s, points=points, dense=6)]
    for index, target in enumerate(targets):
        start_s = stage_s * (index + 1)
        steps.append(Step(start_s, "ph", target))
        # dosing takes minutes of the stage
        first_s = min(1200.0, 0.4 * stage_s)
        steps += [
            Step(at_s, "look")
            for at_s in even(start_s + first_s, start_s + stage_s, (stage_s - first_s) / (points - 1))
        ]
    free = [Step(at_s, "look") for at_s in looks(3600.0 * float(values["free_hours"]), points=20)]
    temperature, cadence = float(values["temperature_c"]), float(values["cadence_s"])
    return [
        RoleCourse("free", "free", free, temperature, cadence),
        RoleCourse("sample", "dialysis", steps, temperature, cadence),
    ]


def acid_findings(
    free: Course, carriers: Course, sample: "SampleConfig", cautions: Cautions, *, every_model: bool = False
) -> Findings:
    """Fit the steps and gather what the report tells. AnalysisRefusesError where the probe never told a pH."""
    if not np.any(np.isfinite(carriers.ph)):
        raise AnalysisRefusesError("the pH probe told no pH during the run: look at probe and meter")
    one, other = profile_of(free, sample), profile_of(carriers, sample)
    steps = [(time / 3600.0, target) for time, target in carriers.when("ph")]
    look_s = np.array([look.time_s for look in carriers.looks])
    seen = PhSteps(one, other, dilution_at(look_s, carriers, sample), [time for time, _ in steps])
    inputs = inputs_of(sample, with_ph=True)
    joint = fit_acid(seen, inputs)
    scale = 100.0 / joint.found["level"].value
    fitted = np.split(joint.fit.fitted, [one.percent.size])
    lines = [
        Line("free cargo", one.grid.time[one.grid.looks], scale * one.percent, scale * fitted[0]),
        Line(
            "carriers", other.grid.time[other.grid.looks], scale * other.percent / seen.dilution,
            scale * fitted[1] / seen.dilution,
        ),
    ]  # fmt: skip
    check_levels(undrifted(lines[-1], joint.found["drift"].value), sample, cautions)
    controls: dict[str, Any] = {"free": {"equilibrium_percent": float(joint.found["level"].value)}}
    if every_model:
        controls["models"] = _models(seen, inputs, joint, steps, cautions)
    controls["ph"] = _ph_kept(carriers, steps)
    return Findings(
        joint, NAMES, "k_acid", {"free": free, "sample": carriers}, lines, cautions,
        derived={"drift": joint.found["drift"].quantity}, controls=controls, titles=TITLES,
    )  # fmt: skip


def dilution_at(look_s: Array, course: Course, sample: "SampleConfig") -> Array:
    """Return volume at the start over volume at each look (n,), by what the pump counted; the insert's liquid is thinned too."""
    volume_ml = (sample.sample.volume or Quantity(1.0, "mL")).value + sample.release.insert.value
    doses = course.when("dosed")
    dosed = np.array([sum(ml for time, ml in doses if time <= at) for at in look_s])
    return np.asarray(volume_ml / (volume_ml + dosed))


def _models(
    seen: PhSteps, inputs: Mapping[str, Quantity], acid: Joint, steps: Sequence[tuple[float, float]], cautions: Cautions
) -> dict[str, Any]:
    """Fit the other models of k(pH) too; the rate at each pH stands beside what specific acid makes of it."""
    joints = {"specific_acid": acid, "switch": fit_acid(seen, inputs, "switch"), "free": fit_acid(seen, inputs, "free")}
    order = ranking(joints)
    if len(order.together) > 1:
        cautions.add("not_told_apart", f"k(pH): {order.sentence}")
    free = joints["free"].found
    rates: list[dict[str, Any]] = [{"ph": None, "rate": _json(free["k_release"].quantity)}]
    rates += [{"ph": target, "rate": _json(free[f"k_{i + 1}"].quantity)} for i, (_, target) in enumerate(steps)]
    return {
        "preferred": order.preferred,
        "statement": order.sentence,
        "aicc_differences": dict(order.differences),
        "rates": rates,
        "switch": {name: _json(joints["switch"].found[name].quantity) for name in ("k_switch", "switch_pka")},
    }


def _json(quantity: Quantity | None) -> dict[str, Any] | None:
    return None if quantity is None else quantity.to_json()


def _ph_kept(course: Course, steps: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    """Return wanted and kept pH of every step: mean and change over its stage."""
    found = []
    ends = [*(time for time, _ in steps[1:]), float(course.time_s[-1]) / 3600.0]
    for (start, target), end in zip(steps, ends, strict=True):
        inside = (course.time_s >= 3600.0 * start) & (course.time_s <= 3600.0 * end - 300.0) & np.isfinite(course.ph)
        values = course.ph[inside]
        if values.size:
            found.append(
                {"wanted": target, "first": float(values[0]), "mean": float(values.mean()), "last": float(values[-1])}
            )
    return found


ASSAY = AcidAssay()
