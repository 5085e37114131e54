"""`nanolab run release_enzyme`: carriers in the beam, an enzyme added at t0, dissolved at the end; and without enzyme."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.model_selection import criteria, rank
from nanolab.assay import Forecast, Parameter, Report, Setup
from nanolab.errors import AnalysisRefusesError
from nanolab.models.release_course import cut, left_by
from nanolab.quantities import Quantity
from plans.release.beam_looks import FIRST_LOOKS
from plans.release.bench_assay import BLANKS, CADENCE, TEMPERATURE, ReleaseAssay
from plans.release.bench_report import Findings, report
from plans.release.continuing import chain
from plans.release.enzyme import AT_ONCE_H, MIXING_S, EnzymeRun, fit_enzyme
from plans.release.expectation import expect
from plans.release.in_beam import READ_OUT, Followed, beam_profiles
from plans.release.joint import Joint
from plans.release.outline import Expected, RoleCourse
from plans.release.passive import inputs_of
from plans.release.picture import Line
from plans.release.record import Course, course_of, limits_of, photometry_of
from plans.release.schedule import Step, even, looks

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig
    from nanolab.journal.reader import Run

Array = npt.NDArray[np.float64]

NAMES = ("kcat", "michaelis_constant", "k_release", "burst", "k_burst", "plateau")
TITLES = {
    "kcat": "turnover",
    "michaelis_constant": "Michaelis constant",
    "specificity": "turnover / Michaelis constant",
    "k_release": "rate without enzyme at 37 °C",
    "burst": "burst",
    "k_burst": "rate of the burst",
    "plateau": "plateau",
}
FIRST_LOOK_S = 30.0
FIRST_EVERY_S = 8.0
LOOKS_DISSOLVED = 5
SETTLED_S = 120.0
"""After the surfactant: the carriers have dissolved."""


class EnzymeAssay(ReleaseAssay):
    """Release by an enzyme."""

    name = "release_enzyme"
    summary = "Release by an enzyme that is pipetted in: integrated Michaelis-Menten, with a control without enzyme; laser off."
    roles: Sequence[str] = ("spectrometer", "cuvette_holder")

    def parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        return (
            Parameter("hours", "number", 5.0, "length after the addition", "h", 0.1, 96.0),
            Parameter("lead_s", "number", 900.0, "length before the addition", "s", 60.0, 36000.0),
            Parameter("points", "integer", 40, "looks after the addition", low=8, high=300),
            TEMPERATURE,
            CADENCE,
            BLANKS,
        )

    def outline(self, values: Mapping[str, Any]) -> Sequence[RoleCourse]:
        """Return the control without enzyme, then the sample; both are dissolved at the end."""
        return enzyme_courses(values)

    def expected(self, setup: Setup) -> Expected:
        """Predict percent of the dose released against time from the addition on."""
        values, sample = setup.values, setup.sample
        time = np.linspace(0.0, float(values["hours"]) + float(values["lead_s"]) / 3600.0, 120)
        table, loss = sample.release, sample.expected_release.enzyme_loss.value
        after = time - float(values["lead_s"]) / 3600.0

        def curve(v: Mapping[str, float]) -> Array:
            burst = min(v["burst"], 0.9 * v["plateau"])
            reachable = table.concentration.value * 0.01 * (v["plateau"] - burst)
            activity = np.where(after <= 0.0, 0.0, np.exp(-loss * np.maximum(after, 0.0)))
            active = 60.0 * v["kcat"] * table.enzyme.value / reachable * activity
            gone = cut(time, active, v["michaelis_constant"] / reachable, v["k_release"])
            return burst * left_by(time, np.full(time.size, v["k_burst"])) + (v["plateau"] - burst) * gone

        return expect(sample, NAMES, time, curve, "kcat")

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Fit control and sample at once."""
        cautions = Cautions()
        reference = runs["reference"]
        control = course_of(chain(runs, "control"), reference, cautions)
        sample = course_of(chain(runs), reference, cautions)
        findings = enzyme_findings(control, sample, setup.sample, cautions)
        findings.photometry = photometry_of(reference, sample) | limits_of(reference, setup.sample, cautions)
        title = f"release of {setup.sample.sample.name} by an enzyme"
        return report(findings, forecast.inputs["expected"], title, simulated=setup.simulated)


def lead_looks(lead_s: float) -> list[float]:
    """Return the looks before anything is done: five at once, whose mean is where all others are measured from."""
    first = [FIRST_LOOK_S + FIRST_EVERY_S * index for index in range(FIRST_LOOKS)]
    return first + even(first[-1], lead_s - 5.0, max((lead_s - first[-1]) / 8.0, 10.0))[1:]


def dissolving(end_s: float) -> list[Step]:
    """Return the end of a course in the beam: surfactant, and looks at what has dissolved."""
    looks_s = [end_s + 1.0 + SETTLED_S + 30.0 * index for index in range(LOOKS_DISSOLVED)]
    return [Step(end_s + 1.0, "add", word="surfactant"), *(Step(at_s, "look") for at_s in looks_s)]


def enzyme_courses(values: Mapping[str, Any]) -> list[RoleCourse]:
    """Return control and sample."""
    lead_s, hours, points = float(values["lead_s"]), float(values["hours"]), int(values["points"])
    temperature, cadence = float(values["temperature_c"]), float(values["cadence_s"])
    end_s = lead_s + 3600.0 * hours
    before = lead_looks(lead_s)
    after = [lead_s + at_s for at_s in looks(3600.0 * hours, first_s=max(30.0, 0.01 * 3600.0 * hours), points=points)]
    last = dissolving(end_s)
    same = [Step(at_s, "look") for at_s in (*before, *after)] + last
    few = [Step(at_s, "look") for at_s in (*before, *after[::2], after[-1])] + last
    return [
        RoleCourse("control", "carrier", few, temperature, cadence),
        RoleCourse("sample", "carrier", [*same, Step(lead_s, "add", word="enzyme")], temperature, cadence),
    ]


def enzyme_findings(control: Course, sample: Course, beliefs: "SampleConfig", cautions: Cautions) -> Findings:
    """Fit both courses and gather what the report tells. AnalysisRefusesError where the enzyme was never added."""
    added = sample.when("enzyme")
    if not added:
        raise AnalysisRefusesError("no enzyme was added during the run")
    volume = beliefs.sample.volume or Quantity(1.0, "mL")
    added_h = added[0][0] / 3600.0 + 0.5 * MIXING_S / 3600.0
    deeds_s = [3600.0 * added_h, 3600.0 * (added_h + AT_ONCE_H)]
    without, seen = beam_profiles([Followed(control), Followed(sample, deeds_s=deeds_s)], beliefs, cautions)
    run = EnzymeRun(
        without,
        seen,
        added_h,
        volume.value / (volume.value + beliefs.release.addition.value),
    )
    inputs = enzyme_inputs(beliefs)
    joint = fit_enzyme(run, inputs)
    simpler = fit_enzyme(run, inputs, first_order=True)
    order = _order(joint, simpler)
    fitted = np.split(joint.fit.fitted, [run.control.percent.size])
    lines = [
        Line("without enzyme", run.control.grid.time[run.control.grid.looks], run.control.percent, fitted[0]),
        Line("with enzyme", run.sample.grid.time[run.sample.grid.looks], run.sample.percent, fitted[1]),
    ]
    controls = {
        "models": order,
        "without_enzyme": {"last_percent": float(run.control.percent[-1])},
        "mixing_s": MIXING_S,
        "concentrated": [float(run.control.amount[-1]), float(run.sample.amount[-1])],
    }
    return Findings(
        joint, NAMES, "kcat", {"control": control, "sample": sample}, lines, cautions,
        derived={"specificity": simpler.found["specificity"].quantity}, controls=controls, titles=TITLES,
        ylabel="released since the first look / %",
    )  # fmt: skip


def enzyme_inputs(beliefs: "SampleConfig") -> dict[str, Quantity]:
    """Return what the fit takes from the sample file."""
    inputs = inputs_of(beliefs)
    return {
        "temperature": inputs["temperature"],
        "activation_energy": inputs["activation_energy"],
        "concentration": beliefs.release.concentration,
        "enzyme": beliefs.release.enzyme,
        "evaporation": beliefs.release.evaporation,
        "enzyme_loss": beliefs.expected_release.enzyme_loss,
        **READ_OUT,
    }


def _order(joint: Joint, simpler: Joint) -> dict[str, Any]:
    """Rank integrated Michaelis-Menten against first order by AICc."""
    scores = {}
    for name, one in (("michaelis_menten", joint), ("first_order", simpler)):
        scores[name] = criteria(one.fit.y, one.fit.fitted, one.fit.values.size, one.fit.sd).aicc
    ranking = rank(scores, {"michaelis_menten": "integrated Michaelis-Menten", "first_order": "first order"})
    return {
        "preferred": ranking.preferred,
        "statement": ranking.sentence,
        "aicc_differences": dict(ranking.differences),
    }


ASSAY = EnzymeAssay()
