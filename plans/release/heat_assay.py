"""`nanolab run release_triggered`: carriers in the beam that heat or a laser opens, temperature and release both followed.

The laser's hardware interlock is the safety function; what this plan checks comes on top.
"""

from collections.abc import Container, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.assay import Forecast, Parameter, Report, Setup
from nanolab.errors import RefusedError
from plans.release.bench_assay import BLANKS, TEMPERATURE, ReleaseAssay
from plans.release.bench_report import report
from plans.release.continuing import chain
from plans.release.enzyme_assay import dissolving, lead_looks
from plans.release.expectation import expect
from plans.release.grid import Grid
from plans.release.heat import released_by_heat
from plans.release.heat_findings import HEAT_NAMES, LIT_NAMES, heat_findings
from plans.release.outline import Expected, RoleCourse
from plans.release.record import course_of, limits_of, photometry_of
from plans.release.replay import LIQUID_LAG_S
from plans.release.schedule import Step, even

if TYPE_CHECKING:
    from nanolab.journal.reader import Run

Array = npt.NDArray[np.float64]

ORDER = ("burst", "k_burst", "plateau", "transition_temperature", "transition_width", "k_fast", "k_tail")
"""What `released_by_heat` takes, in its order."""

_WITHOUT = {
    "same_temperature": "nothing but the law of heat tells the light from its warmth",
    "no_carrier": "whether the laser changes free cargo is not known",
}
"""What the analysis lacks without a control of a run with the laser."""

BLOCK_OVER_K = 4.0
"""So much warmer than its liquid a block must be able to get at the temperatures of a transition."""


class TriggeredAssay(ReleaseAssay):
    """Release by heat or laser."""

    name = "release_triggered"
    summary = (
        "Release by heater or laser, temperature and release both followed; controls: dark, and with the laser the same "
        "temperatures without it and the laser without carriers."
    )
    emits = True
    roles: Sequence[str] = ("spectrometer", "cuvette_holder")

    def parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        return (
            Parameter("trigger", "choice", "heater", "what warms the carriers", choices=("heater", "laser")),
            Parameter(
                "temperatures_c", "numbers", [39.5, 40.2, 40.7, 41.1, 41.6, 42.2, 43.5],
                "stairs of the heater", "degC", 20.0, 70.0,
            ),
            Parameter("powers_w", "numbers", [0.25, 0.35, 0.45, 0.6], "powers of the laser, each on and off", "W", 0.01, 10.0),
            Parameter("stair_s", "number", 240.0, "length of each stair, or of each on and off", "s", 30.0, 7200.0),
            Parameter("look_every_s", "number", 20.0, "lab seconds between looks while it is warm", "s", 5.0, 600.0),
            Parameter("lead_s", "number", 1200.0, "length before the first stair", "s", 120.0, 36000.0),
            Parameter("rise_k", "number", 12.0, "most that the laser may warm the liquid, for the limits", "K", 0.0, 40.0),
            Parameter("cadence_s", "number", 3.0, "lab seconds between temperatures", "s", 0.5, 60.0),
            TEMPERATURE,
            BLANKS,
        )  # fmt: skip

    def outline(self, values: Mapping[str, Any]) -> Sequence[RoleCourse]:
        """Return the dark control, with a laser its two others, and the sample; all carriers are dissolved at the end."""
        return heat_courses(values)

    def forecast(self, setup: Setup) -> Forecast:
        """Predict; RefusedError where a device is missing or the holder's own limit is too low, before anything is opened."""
        missing = [role for role in ("laser", "thermocouple") if role not in setup.bench.devices]
        if setup.values["trigger"] == "laser" and missing:
            raise RefusedError(
                f"the plan '{self.name}' with trigger=laser needs {', '.join(missing)}, and the bench has none"
            )
        holder: Any = setup.bench.devices["cuvette_holder"].settings
        highest = holder.max_temperature.value
        hottest = max(setup.values["temperatures_c"]) if setup.values["trigger"] == "heater" else 0.0
        if hottest + BLOCK_OVER_K > highest:
            raise RefusedError(
                f"refused before the start: stairs up to {hottest:g} degC need a block of {BLOCK_OVER_K:g} K more, and its limit "
                f"(max_temperature) is {highest:g} degC"
            )
        return super().forecast(setup)

    def expected(self, setup: Setup) -> Expected:
        """Predict percent released along the wanted temperatures, the liquid following within its lag."""
        values = setup.values
        courses = heat_courses(values)
        own = next(one for one in courses if one.role == "sample")
        time = np.linspace(0.0, own.seconds, 400)
        degrees = _wanted(own, time, float(values["temperature_c"]))
        grid = Grid(time / 3600.0, degrees, np.full(time.size, np.nan), np.arange(time.size))
        energy = setup.sample.release.activation_energy.value
        fluence = _planned_joules(own, time) / setup.sample.release.beam_area.value
        names = (*LIT_NAMES, "k_release") if values["trigger"] == "laser" else (*HEAT_NAMES, "k_release")

        def curve(v: Mapping[str, float]) -> Array:
            law = [v[name] for name in ORDER]
            return released_by_heat(grid, law, v["k_release"], energy, v.get("k_light", 0.0) * fluence)

        return expect(setup.sample, names, time / 3600.0, curve, "transition_temperature")

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Fit dark control and sample at once; compare the other controls with what the fit says of them."""
        cautions = Cautions()
        reference = runs["reference"]
        dark = course_of(chain(runs, "dark"), reference, cautions)
        sample = course_of(chain(runs), reference, cautions)
        others = {
            role: course_of(chain(runs, role), reference, cautions)
            for role in ("same_temperature", "no_carrier")
            if role in runs
        }
        lit = setup.values["trigger"] == "laser"
        if lit:
            check_controls(others, cautions)
        findings = heat_findings(dark, sample, setup.sample, cautions, others, lit=lit)
        findings.photometry = photometry_of(reference, sample) | limits_of(reference, setup.sample, cautions)
        title = f"release of {setup.sample.sample.name} by {setup.values['trigger']}"
        return report(findings, forecast.inputs["expected"], title, simulated=setup.simulated)


def check_controls(others: Container[str], cautions: Cautions) -> None:
    """Say which control of a run with the laser is missing, and what is not known without it."""
    for role, without in _WITHOUT.items():
        if role not in others:
            cautions.add("control_missing", f"the control '{role}' is missing: {without}", role)


def heat_courses(values: Mapping[str, Any]) -> list[RoleCourse]:
    """Return the runs: dark, (no_carrier,) sample, (same_temperature)."""
    base, cadence = float(values["temperature_c"]), float(values["cadence_s"])
    lead_s, stair_s, every_s = float(values["lead_s"]), float(values["stair_s"]), float(values["look_every_s"])
    laser = values["trigger"] == "laser"
    deeds = []
    if laser:
        for index, power in enumerate(values["powers_w"]):
            start = lead_s + 2.0 * index * stair_s
            deeds += [Step(start, "power", float(power)), Step(start + stair_s, "power", 0.0)]
        end_s = lead_s + 2.0 * stair_s * len(values["powers_w"])
    else:
        deeds = [Step(lead_s + i * stair_s, "temperature", float(t)) for i, t in enumerate(values["temperatures_c"])]
        end_s = lead_s + stair_s * len(values["temperatures_c"])
    before = lead_looks(lead_s)
    warm = even(lead_s + every_s, end_s, every_s)
    last = dissolving(end_s)
    all_looks = [Step(at_s, "look") for at_s in (*before, *warm)] + last
    few_looks = [Step(at_s, "look") for at_s in (*before, *warm[:: max(1, len(warm) // 15)])] + last
    found = [RoleCourse("dark", "carrier", few_looks, base, max(cadence, 15.0))]
    if laser:
        light_only = [step for step in few_looks if step.what == "look"]
        found.append(RoleCourse("no_carrier", "standard", [*light_only, *deeds], base, cadence, emits=True))
    found.append(RoleCourse("sample", "carrier", [*all_looks, *deeds], base, cadence, emits=laser))
    if laser:
        found.append(RoleCourse("same_temperature", "carrier", all_looks, base, cadence, replay=True))
    return found


def _wanted(course: RoleCourse, time_s: Array, base_c: float) -> Array:
    """Return the liquid's temperature as expected: first-order towards what block or laser ask for, 9 K per watt."""
    target, degrees, last = base_c, base_c, 0.0
    deeds = [step for step in course.steps if step.what in {"temperature", "power"}]
    found = []
    for now in time_s:
        for step in deeds:
            if last < step.at_s <= now:
                target = step.value if step.what == "temperature" else base_c + 9.0 * step.value
        degrees += (target - degrees) * float(-np.expm1(-(now - last) / LIQUID_LAG_S))
        last = float(now)
        found.append(degrees)
    return np.array(found)


def _planned_joules(course: RoleCourse, time_s: Array) -> Array:
    """Return the laser's energy that is to have come by each time (n,), J."""
    powers = [(step.at_s, step.value) for step in course.steps if step.what == "power"]
    joules = np.zeros(time_s.shape)
    for (start, power), (end, _) in pairwise([*powers, (course.seconds, 0.0)]):
        joules += power * np.clip(time_s - start, 0.0, end - start)
    return joules


ASSAY = TriggeredAssay()
