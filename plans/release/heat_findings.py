"""What heat or light did to carriers: the joint fit of sample and controls, and what the report tells of it."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.model_selection import criteria, rank
from nanolab.quantities import Quantity
from plans.release.bench_report import Findings
from plans.release.heat import HeatRun, fit_heat, law_of, released_by_heat
from plans.release.in_beam import READ_OUT, BeamProfile, Followed, beam_profiles
from plans.release.joint import Joint
from plans.release.light import energy_at, light_energy
from plans.release.passive import inputs_of
from plans.release.picture import Line
from plans.release.record import Course

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig

Array = npt.NDArray[np.float64]

HEAT_NAMES = ("transition_temperature", "transition_width", "k_fast", "k_tail", "burst", "k_burst", "plateau")
LIT_NAMES = (*HEAT_NAMES, "k_light")
TITLES = {
    "transition_temperature": "middle of the transition",
    "transition_width": "width of the transition",
    "k_fast": "rate above it",
    "k_tail": "rate of carriers not yet past it",
    "burst": "burst",
    "k_burst": "rate of the burst",
    "plateau": "plateau",
    "k_light": "cut by light",
    "light_energy": "energy of the laser",
}
LIGHT_MODELS = {"warmth": "the laser's warmth alone", "warmth_and_light": "warmth and light"}
_EARLY, _LATE = 100, 260
_LARGEST_RMS = 3.0
"""Percent by which carriers at the sample's temperatures may be off the law that was fitted to all."""

_LARGEST_CHANGE = 3.0
"""Percent by which the laser may change free cargo's absorbance before a caution says so."""


def heat_findings(
    dark: Course,
    sample: Course,
    beliefs: "SampleConfig",
    cautions: Cautions,
    others: Mapping[str, Course] | None = None,
    *,
    lit: bool = False,
) -> Findings:
    """Fit sample and controls and gather what the report tells; `lit`: with the laser, whose own effect is then a parameter."""
    courses = dict(others or {})
    run = _run(dark, sample, courses.get("same_temperature") if lit else None, beliefs, cautions)
    inputs = _inputs(beliefs)
    joint = fit_heat(run, inputs, light=lit)
    fitted = np.split(joint.fit.fitted, np.cumsum([profile.percent.size for profile in run.profiles])[:-1])
    lines = [_line("dark", run.control, fitted[0])]
    if run.unlit is not None:
        lines.append(_line("same temperatures, laser off", run.unlit, fitted[2]))
    # the sample's comes last
    lines.append(_line("laser" if lit else "heated", run.sample, fitted[1]))
    controls: dict[str, Any] = {"dark": {"last_percent": float(run.control.percent[-1])}}
    if "no_carrier" in courses:
        controls["no_carrier"] = _free_cargo(courses["no_carrier"], cautions)
    if run.unlit is not None:
        controls["same_temperature"] = _off_the_law(run.unlit, joint, beliefs, cautions)
    if lit:
        controls["models"] = _order(joint, fit_heat(run, inputs, bare=True), cautions)
    return Findings(
        joint, LIT_NAMES if lit else HEAT_NAMES, "transition_temperature", {"dark": dark, "sample": sample}, lines, cautions,
        derived={"light_energy": light_energy(sample)}, controls=controls, titles=TITLES,
        ylabel="released since the first look / %",
    )  # fmt: skip


def _run(dark: Course, sample: Course, unlit: Course | None, beliefs: "SampleConfig", cautions: Cautions) -> HeatRun:
    # where stairs begin, and light comes and goes, the temperature bends
    bends = [time for what in ("temperature", "power") for time, _ in sample.when(what)]
    courses = [Followed(dark), Followed(sample, _EARLY, _LATE, bends)]
    if unlit is not None:
        courses.append(Followed(unlit, _EARLY, _LATE))
    control, seen, *others = beam_profiles(courses, beliefs, cautions)
    fluence = energy_at(sample, 3600.0 * seen.grid.time) / beliefs.release.beam_area.value
    return HeatRun(control, seen, others[0] if others else None, fluence)


def _inputs(beliefs: "SampleConfig") -> dict[str, Quantity]:
    inputs = {name: q for name, q in inputs_of(beliefs).items() if name in {"temperature", "activation_energy"}}
    area, gain = beliefs.release.beam_area, beliefs.beliefs.power_gain
    relative = math.hypot(*((q.standard_uncertainty or 0.0) / q.value for q in (area, gain)))
    return {
        **inputs,
        "k_release": beliefs.expected_release.k_release,
        "fluence": Quantity(0.0, "1", relative),
        **READ_OUT,
    }


def _line(label: str, profile: BeamProfile, fitted: Array) -> Line:
    return Line(label, profile.grid.time[profile.grid.looks], profile.percent, fitted)


def _free_cargo(course: Course, cautions: Cautions) -> dict[str, float]:
    """Return what the laser did to free cargo without any carrier."""
    at = (course.looks[0].wavelength_nm > 460.0) & (course.looks[0].wavelength_nm < 500.0)
    first, last = (float(np.nanmean(look.absorbance[at])) for look in (course.looks[0], course.looks[-1]))
    change = 100.0 * (last / first - 1.0)
    if abs(change) > _LARGEST_CHANGE:
        cautions.add("laser_changes_cargo", f"the laser changes free cargo by {change:+.1f} % without any carrier")
    return {"change_percent": change}


def _off_the_law(profile: BeamProfile, joint: Joint, beliefs: "SampleConfig", cautions: Cautions) -> dict[str, float]:
    """Compare carriers at the sample's temperatures, laser off, with the law that was fitted to all."""
    k_release, energy = beliefs.expected_release.k_release.value, beliefs.release.activation_energy.value
    expected = profile.seen(released_by_heat(profile.grid, law_of(joint), k_release, energy))
    off = profile.percent - expected
    rms, worst = float(np.sqrt(np.mean(off**2))), float(off[np.argmax(np.abs(off))])
    if rms > _LARGEST_RMS:
        cautions.add(
            "temperature_control_departs",
            f"carriers at the sample's temperatures without the laser are {rms:.1f} % (rms) off the law that fits the others: the "
            "probe does not show the temperature of the carriers, or the light does something that no law here has",
        )
    return {"rms_percent": rms, "largest_percent": worst}


def _order(with_light: Joint, warmth: Joint, cautions: Cautions) -> dict[str, Any]:
    """Rank the laser's warmth alone against warmth and light by AICc; a caution where the light shows."""
    scores = {}
    for name, one in (("warmth", warmth), ("warmth_and_light", with_light)):
        scores[name] = criteria(one.fit.y, one.fit.fitted, one.fit.values.size, one.fit.sd).aicc
    ranking = rank(scores, LIGHT_MODELS)
    light = with_light.found["k_light"].quantity
    if light is not None and light.interval_95 is not None:
        low, high = light.interval_95
        told = f"k_light = {light} (95 % {low:.3g} to {high:.3g})"
        if low > 0.0:
            cautions.add("light_beyond_heat", f"the light does more than warm: {told}", "k_light")
        elif high < 0.0:
            text = f"{told}: light holds no cargo back, so the control at the same temperatures or the probe is off"
            cautions.add("light_below_warmth", text, "k_light")
    return {
        "preferred": ranking.preferred,
        "statement": ranking.sentence,
        "aicc_differences": dict(ranking.differences),
    }
