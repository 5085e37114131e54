"""From a joint fit to the report of a release run: result by the names of the truth, verdict, cautions, rows, picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.assay import Report
from nanolab.errors import AnalysisRefusesError
from nanolab.quantities import Quantity
from nanolab.report.cells import interval_words
from plans.release.expectation import judged
from plans.release.joint import Found, Joint
from plans.release.mass_balance import Balance
from plans.release.outline import Expected
from plans.release.picture import Line, Picture, draw
from plans.release.record import Course

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig

RESIDUALS_FOLLOW = 0.5
HIGHEST_PERCENT, CAUTION_PERCENT = 120.0, 100.0


@dataclass
class Findings:
    """What an assay's analysis hands over to the report.

    ``names``: the parameters of the fit that are results; ``key`` among them decides the verdict. ``derived``: quantities
    that are not parameters. ``controls``: what the control runs showed, one entry each; ``told``: what is
    said of them in the table, a name and a line each. ``balance``: where aliquots were taken.
    """

    joint: Joint
    names: Sequence[str]
    key: str
    courses: Mapping[str, Course]
    lines: Sequence[Line]
    cautions: Cautions
    derived: Mapping[str, Quantity | None] = field(default_factory=dict)
    controls: Mapping[str, Any] = field(default_factory=dict)
    photometry: Mapping[str, Any] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    ylabel: str = "released, as seen / %"
    told: Sequence[tuple[str, str]] = ()
    balance: Balance | None = None


def report(findings: Findings, expected: Expected, title: str, *, simulated: bool) -> Report:
    """Return the report."""
    joint, cautions = findings.joint, findings.cautions
    found = joint.found
    for name in findings.names:
        one = found[name]
        if one.quantity is None:
            cautions.add("not_identified", f"{name}: {one.why}", name)
    if joint.fit.memory > RESIDUALS_FOLLOW:
        cautions.add(
            "residuals_correlated",
            f"the residuals follow each other (r = {joint.fit.memory:.2f}): the model misses something; the intervals are widened",
        )
    result = _result(findings)
    sample = findings.courses["sample"]
    key = found[findings.key].quantity
    verdict = judged(expected, key)
    words = None if verdict is None else verdict.to_json()
    rows = _rows(findings, expected, words)
    if findings.balance is not None:
        result["mass_balance"] = findings.balance.to_json()
        rows += findings.balance.rows()
    picture = Picture(
        title, rows[0][0] + ": " + rows[0][1], findings.lines, expected.to_json(),
        (sample.time_s / 3600.0, sample.temperature_c), simulated, findings.ylabel,
        [(time / 3600.0, what) for time, what, _ in sample.marks if what in {"enzyme", "surfactant"}],
        () if findings.balance is None else findings.balance.taken_h.tolist(),
    )  # fmt: skip
    return Report(
        result=result,
        verdict=words,
        cautions=cautions.to_json(),
        rows=rows,
        figure_svg=draw(picture),
        refused=() if key is not None else (findings.key,),
    )


def _result(findings: Findings) -> dict[str, Any]:
    """Return the machine-readable result."""
    found, sample = findings.joint.found, findings.courses["sample"]
    result: dict[str, Any] = {name: _json(found[name].quantity) for name in findings.names}
    result |= {name: _json(quantity) for name, quantity in findings.derived.items()}
    result |= {
        "budget": {name: dict(found[name].shares) for name in findings.names},
        "profile": _profile(findings.lines[-1]),
        "curves": [_curve(line) for line in findings.lines],
        "temperature": _temperature(sample).to_json(),
        "residual_rms": Quantity(float(np.std(findings.joint.fit.residuals)), "%").to_json(),
        "controls": dict(findings.controls),
        "photometry": dict(findings.photometry),
        "gaps_h": [[start / 3600.0, end / 3600.0] for start, end in sample.gaps],
    }
    return result


def _json(quantity: Quantity | None) -> dict[str, Any] | None:
    return None if quantity is None else quantity.to_json()


def _profile(line: Line) -> dict[str, Any]:
    return {"time_h": line.time_h.tolist(), "percent": line.percent.tolist()}


def _curve(line: Line) -> dict[str, Any]:
    fitted = None if line.fitted is None else line.fitted.tolist()
    return {"label": line.label, **_profile(line), "fitted": fitted}


def _temperature(course: Course) -> Quantity:
    warm = course.temperature_c[course.time_s > 0.2 * course.time_s[-1]]
    return Quantity(float(np.mean(warm)), "degC", float(np.std(warm)))


def _rows(findings: Findings, expected: Expected, verdict: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    rows = []
    order = [findings.key, *(name for name in findings.names if name != findings.key)]
    for name in order:
        one = findings.joint.found[name]
        text = f"not identified: {one.why}" if one.quantity is None else _found_text(one, one.quantity)
        believed = expected.quantities.get(name)
        if believed is not None:
            text += f"; expected {believed}"
        rows.append((findings.titles.get(name, name), text))
    for name, quantity in findings.derived.items():
        rows.append((findings.titles.get(name, name), "–" if quantity is None else str(quantity)))
    rows.extend(findings.told)
    if verdict is not None:
        title = findings.titles.get(verdict["quantity"], verdict["quantity"])
        rows.append(("verdict", f"{title} {verdict['word']} with the prediction (z = {verdict['z']:+.2f})"))
    return rows


def _found_text(one: Found, quantity: Quantity) -> str:
    largest = next(iter(one.shares), "")
    return f"{quantity}, 95 % {interval_words(quantity)}; largest term {largest.replace('_', ' ')}"


def undrifted(line: Line, drift: float) -> npt.NDArray[np.float64]:
    """Return the percents of a line (n,) without what evaporation concentrated, ``drift`` per hour."""
    return np.asarray(line.percent * (1.0 - drift * line.time_h))


def check_levels(percent: npt.ArrayLike, sample: "SampleConfig", cautions: Cautions) -> None:
    """Say where more is seen than was put in: a caution from 100 % or three uncertainties on, a refusal above 120 %."""
    top, u = float(np.max(percent)), 100.0 * (sample.release.dose_ratio.standard_uncertainty or 0.0)
    if top > HIGHEST_PERCENT:
        raise AnalysisRefusesError(f"{top:.0f} % of the dose is seen: dose, dose_ratio or the cuvettes are mixed up")
    if top > max(CAUTION_PERCENT, CAUTION_PERCENT + 3.0 * u):
        cautions.add(
            "above_100", f"up to {top:.1f} % of the dose is seen: the dose ratio is off, or something else absorbs"
        )
