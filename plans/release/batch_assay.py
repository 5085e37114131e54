"""`nanolab run encapsulation`: what of a batch's cargo is inside, from a dissolved batch, its filtrate, and a standard.

EE = 1 - free/total, LC = encapsulated mass / mass of particles with cargo (`nanolab.analysis.encapsulation`). Both
concentrations are read by the same spectrum and scaled by the same standard, whose error leaves the efficiency alone.
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.encapsulation import encapsulation_efficiency, loading_capacity
from nanolab.analysis.readout import in_window
from nanolab.assay import Forecast, Parameter, Report, Setup
from nanolab.errors import AnalysisRefusesError
from nanolab.quantities import Quantity
from plans.release.bench_assay import BLANKS, ReleaseAssay
from plans.release.continuing import chain
from plans.release.expectation import judged
from plans.release.figure import COLOURS
from plans.release.outline import Expected, RoleCourse
from plans.release.passive import LINEARITY
from plans.release.record import Course, course_of, limits_of, photometry_of, seen_free
from plans.release.schedule import Step

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig
    from nanolab.journal.reader import Run

Array = npt.NDArray[np.float64]

ROLES = ("standard", "filtrate", "sample")
CONTENTS = {"standard": "standard", "filtrate": "filtrate", "sample": "lysate"}
BETWEEN_S = 60.0


class BatchAssay(ReleaseAssay):
    """Encapsulation efficiency and loading."""

    name = "encapsulation"
    summary = "Encapsulation efficiency and loading of a batch: standard, filtrate, dissolved batch, each filled anew; laser off."
    continues = False

    def parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        return (
            Parameter("fillings", "integer", 4, "times each liquid is filled in anew", low=2, high=20),
            Parameter("temperature_c", "number", 25.0, "temperature of the holder", "degC", 4.0, 60.0),
            Parameter("cadence_s", "number", 15.0, "lab seconds between temperatures", "s", 0.5, 600.0),
            BLANKS,
        )

    def outline(self, values: Mapping[str, Any]) -> Sequence[RoleCourse]:
        """Return standard, filtrate, dissolved batch."""
        found = []
        for role in ROLES:
            steps = []
            for filling in range(int(values["fillings"])):
                at_s = BETWEEN_S * (filling + 1)
                steps += [Step(at_s, "look"), Step(at_s + 1.0, "load", word=CONTENTS[role])]
            # the last filling was looked at already
            found.append(
                RoleCourse(role, CONTENTS[role], steps[:-1], float(values["temperature_c"]), float(values["cadence_s"]))
            )
        return found

    def expected(self, setup: Setup) -> Expected:
        """Expect what the sample file says: there is no course to predict."""
        key = "encapsulation_efficiency"
        return Expected({key: setup.sample.expected_release.encapsulation_efficiency}, {}, key)

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Read all fillings and work out efficiency and loading."""
        cautions = Cautions()
        reference = runs["reference"]
        courses = {role: course_of(chain(runs, role), reference, cautions) for role in ROLES}
        limits = limits_of(reference, setup.sample, cautions)
        result = batch_result(courses, setup.sample, limits, cautions)
        result["photometry"] = photometry_of(reference, courses["sample"]) | limits
        expected: Expected = forecast.inputs["expected"]
        stored = result["encapsulation_efficiency"]
        verdict = judged(expected, None if stored is None else Quantity.from_json(stored))
        words = None if verdict is None else verdict.to_json()
        return Report(
            result=result,
            verdict=words,
            cautions=cautions.to_json(),
            rows=_rows(result, expected, words),
            figure_svg=_draw(courses, setup),
            refused=() if stored is not None else ("encapsulation_efficiency",),
        )


def batch_result(
    courses: Mapping[str, Course], sample: "SampleConfig", limits: Mapping[str, Any], cautions: Cautions
) -> dict[str, Any]:
    """Return efficiency, loading, and the concentrations behind them. AnalysisRefusesError where the standard is not seen."""
    table = sample.release
    means = {role: _mean(course, sample.sample.path_length.value) for role, course in courses.items()}
    standard, u_standard = means["standard"]
    if standard <= 0.0:
        raise AnalysisRefusesError("the standard shows no cargo: look at the cuvette and at its spectrum")
    scale = table.standard.value / standard
    recovery, dilution = table.filter_recovery, table.dilution
    total = _scaled(means["sample"], scale, [])
    others = [_relative(recovery), _relative(dilution), LINEARITY]
    free = _scaled(means["filtrate"], scale * dilution.value / recovery.value, others)
    lod = (limits.get("lod") or {}).get("value")
    if lod is not None and means["filtrate"][0] < lod:
        cautions.add(
            "below_lod",
            f"the filtrate ({means['filtrate'][0]:.3g} umol/L) lies below the limit of detection ({lod:.3g})",
        )
        free = Quantity(max(free.value, 0.0), "umol/L", max(free.standard_uncertainty or 0.0, lod / 3.3))
    if free.value > total.value:
        cautions.add("more_free_than_total", "there is more free cargo than cargo: dilution or filter is off")
    efficiency = encapsulation_efficiency(total, Quantity(max(free.value, 0.0), "umol/L", free.standard_uncertainty))
    common = float(np.hypot(_relative(table.standard), u_standard / standard))
    return {
        "encapsulation_efficiency": efficiency.to_json(),
        "loading_capacity": _loading(total, free, common, sample, cautions),
        "total": Quantity(
            total.value, "umol/L", float(np.hypot(total.standard_uncertainty or 0.0, common * total.value))
        ).to_json(),
        "free": Quantity(
            free.value, "umol/L", float(np.hypot(free.standard_uncertainty or 0.0, common * free.value))
        ).to_json(),
        "fillings": {role: _values(course, sample.sample.path_length.value) for role, course in courses.items()},
    }


def _values(course: Course, path_cm: float) -> list[float]:
    return [one.value for one in seen_free(course, path_cm)]


def _mean(course: Course, path_cm: float) -> tuple[float, float]:
    """Return mean and its standard uncertainty over fillings, umol/L by the stand-in spectrum."""
    values = np.array(_values(course, path_cm))
    if values.size < 2:
        raise AnalysisRefusesError("one filling has no scatter: at least two looks of each liquid are needed")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))


def _scaled(mean: tuple[float, float], factor: float, relative: Sequence[float]) -> Quantity:
    value, u = mean
    parts = [u / abs(value) if value else 0.0, *relative]
    return Quantity(factor * value, "umol/L", abs(factor * value) * float(np.sqrt(np.sum(np.square(parts)))))


def _relative(quantity: Quantity) -> float:
    return (quantity.standard_uncertainty or 0.0) / quantity.value


def _loading(
    total: Quantity, free: Quantity, common: float, sample: "SampleConfig", cautions: Cautions
) -> dict[str, Any] | None:
    particles = sample.release.particles
    if particles is None:
        cautions.add("particles_missing", "[release] particles is not stated: there is no loading capacity")
        return None
    per_l = 1e-3 * sample.release.molar_mass_g_per_mol
    # mg/L throughout; what standard and fillings share is put on the total
    inside = (total.value - free.value) * common
    u_total = float(np.hypot(total.standard_uncertainty or 0.0, inside))
    mass = [
        Quantity(q * per_l, "mg/L", u * per_l)
        for q, u in ((total.value, u_total), (free.value, free.standard_uncertainty or 0.0))
    ]
    try:
        return loading_capacity(mass[0], mass[1], particles).to_json()
    except ValueError as error:
        cautions.add("loading_impossible", f"no loading capacity: {error}")
        return None


def _rows(result: Mapping[str, Any], expected: Expected, verdict: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    rows = []
    for name, words in (("encapsulation_efficiency", "encapsulation efficiency"), ("loading_capacity", "loading capacity"),
                        ("total", "all cargo"), ("free", "free cargo")):  # fmt: skip
        stored = result[name]
        text = "–" if stored is None else str(Quantity.from_json(stored))
        believed = expected.quantities.get(name)
        rows.append((words, text if believed is None else f"{text}; expected {believed}"))
    if verdict is not None:
        rows.append(
            ("verdict", f"{verdict['quantity']} {verdict['word']} with the prediction (z = {verdict['z']:+.2f})")
        )
    return rows


def _draw(courses: Mapping[str, Course], setup: Setup) -> bytes:
    """Return the spectra of all fillings as SVG; the same input gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "nanolab", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7.5, 4.5), layout="constrained")
        axes = figure.subplots()
        for (role, course), colour in zip(courses.items(), COLOURS, strict=False):
            for number, look in enumerate(course.looks):
                used = in_window(look.wavelength_nm)
                label = CONTENTS[role] if number == 0 else None
                axes.plot(look.wavelength_nm[used], look.absorbance[used], color=colour, linewidth=0.8, label=label)
        axes.set_xlabel("wavelength / nm")
        axes.set_ylabel("decadic absorbance / 1")
        axes.legend(fontsize=8, frameon=False)
        stamp = "SIMULATED  " if setup.simulated else ""
        figure.suptitle(f"{stamp}encapsulation of {setup.sample.sample.name}", x=0.02, ha="left", fontsize=12)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


ASSAY = BatchAssay()
