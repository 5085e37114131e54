"""`nanolab analyze similarity`: f1 and f2 of reference and test, by the rule that was asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Caution, Cautions
from nanolab.analysis.delimited import read_table
from nanolab.analysis.file_options import FileOptions
from nanolab.analysis.selection import select_rows
from nanolab.analysis.similarity import (
    CV_EARLY,
    CV_LATER,
    FEWEST_TIMES,
    FEWEST_UNITS,
    SIMILAR_F1,
    SIMILAR_F2,
    Bootstrap,
    KeptPoints,
    bootstrap,
    coefficients_of_variation,
    f1,
    f2,
    f2_bias_corrected,
    interval,
    jackknife,
    kept_points,
)
from nanolab.analysis.tables import remarks_of
from nanolab.assay import Report
from nanolab.errors import UsageError
from nanolab.quantities import Quantity
from plans.release.products import Product, Products, products_of

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """One test against the reference: factors, kept points, and the bootstrap of each factor where there are units."""

    test: str
    f1: Quantity | None
    f2: Quantity | None
    f2_corrected: float | None
    kept: KeptPoints
    bootstrap: Mapping[str, Bootstrap]
    similar: bool | None
    cautions: Cautions


def analyze_similarity(options: FileOptions) -> Report:
    """Analyse the file of one call of `nanolab analyze similarity`.

    ``refused`` names f1 and f2 where the rule leaves too few points to form them. UsageError for several files: the
    products of one comparison stand in one file.
    """
    if len(options.files) != 1:
        raise UsageError(f"similarity compares the products of one file, not {len(options.files)} files")
    table = read_table(options.files[0], options.read.lines)
    rows = select_rows(table, options.read.where)
    common = Cautions(remarks_of(table))
    products = products_of(table, rows, options.read.columns, options.settings, common)
    comparisons = [compare(products, test, options.settings, options.seed) for test in products.tests]
    return _report(products, comparisons, common, options)


def compare(products: Products, test: Product, settings: Mapping[str, Any], seed: int) -> Comparison:
    """Compare one test with the reference."""
    r, t = products.reference.units, test.units
    cautions = Cautions()
    kept = kept_points(products.times, r.mean(axis=0), t.mean(axis=0), settings["rule"], settings["complete_percent"])
    keep = kept.keep
    if np.count_nonzero(keep) < FEWEST_TIMES:
        text = f"{test.name}: the rule '{settings['rule']}' keeps {np.count_nonzero(keep)} points; {FEWEST_TIMES} are needed"
        for name in ("f1", "f2"):
            cautions.add("too_few_points", text, name)
        return Comparison(test.name, None, None, None, kept, {}, None, cautions)
    r, t = r[:, keep], t[:, keep]
    scatter = min(r.shape[0], t.shape[0]) > 1
    _conditions(test.name, r, t, cautions)
    found: dict[str, Bootstrap] = {}
    quantities = {}
    for name, factor in (("f1", f1), ("f2", f2)):
        if scatter:
            found[name] = bootstrap(factor, r, t, method=settings["bootstrap"], draws=settings["draws"], seed=seed)
            quantities[name] = _quantity(factor, found[name], r, t)
        else:
            quantities[name] = Quantity(factor(r.mean(axis=0), t.mean(axis=0)), "1")
    corrected = _corrected(test.name, r, t, cautions) if scatter else None
    similar = quantities["f1"].value <= SIMILAR_F1 and quantities["f2"].value >= SIMILAR_F2
    if scatter and found["f2"].low < SIMILAR_F2 <= quantities["f2"].value:
        cautions.add(
            "similarity_uncertain",
            f"{test.name}: f2 is {quantities['f2'].value:.2f}, but the lower end of its 90 % interval is "
            f"{found['f2'].low:.2f}: similarity is not shown",
        )
    return Comparison(test.name, quantities["f1"], quantities["f2"], corrected, kept, found, similar, cautions)


def _quantity(
    factor: Callable[[npt.ArrayLike, npt.ArrayLike], float], found: Bootstrap, r: Array, t: Array
) -> Quantity:
    left_out = jackknife(factor, r, t) if found.method == "bca" else None
    ends = interval(found.draws, found.value, left_out, 0.95)
    return Quantity(found.value, "1", float(np.std(found.draws, ddof=1)), ends)


def _corrected(name: str, r: Array, t: Array, cautions: Cautions) -> float | None:
    try:
        return f2_bias_corrected(r, t)
    except ValueError as error:
        cautions.add("no_bias_correction", f"{name}: {error}")
        return None


def _conditions(name: str, r: Array, t: Array, cautions: Cautions) -> None:
    """Add a caution for each condition under which f2 of the means may be used and which is not met."""
    units = min(r.shape[0], t.shape[0])
    if units < FEWEST_UNITS:
        cautions.add("few_units", f"{name}: {units} units; the rules ask for {FEWEST_UNITS} of each product")
    if units < 2:
        return
    for who, block in (("the reference", r), ("the test", t)):
        cv = coefficients_of_variation(block)
        over = [value for index, value in enumerate(cv) if value > (CV_EARLY if index == 0 else CV_LATER)]
        if over:
            cautions.add(
                "units_scatter",
                f"{name}: the units of {who} scatter by up to {max(over):.0f} % (allowed: {CV_EARLY:g} % at the first "
                f"time, {CV_LATER:g} % later): judge by the lower end of the bootstrap interval",
            )


def comparison_json(products: Products, comparison: Comparison) -> dict[str, Any]:
    """Return one comparison in machine-readable form."""
    points = [
        {"time": float(time), "kept": bool(keep), "why": why}
        for time, keep, why in zip(products.times, comparison.kept.keep, comparison.kept.why, strict=True)
    ]
    return {
        "reference": products.reference.name,
        "test": comparison.test,
        "f1": None if comparison.f1 is None else comparison.f1.to_json(),
        "f2": None if comparison.f2 is None else comparison.f2.to_json(),
        "f2_bias_corrected": comparison.f2_corrected,
        "similar": comparison.similar,
        "bootstrap": {
            name: {"low": one.low, "high": one.high, "level": one.level, "method": one.method, "draws": one.draws.size}
            for name, one in comparison.bootstrap.items()
        },
        "points_kept": int(np.count_nonzero(comparison.kept.keep)),
        "points": points,
        "time_unit": products.time_unit or None,
    }


def _report(products: Products, comparisons: Sequence[Comparison], common: Cautions, options: FileOptions) -> Report:
    each = [comparison_json(products, comparison) for comparison in comparisons]
    rule = options.settings["rule"]
    single = len(each) == 1
    result = {"rule": rule, **each[0]} if single else {"rule": rule, "f1": None, "f2": None, "each": each}
    cautions: list[Caution] = [*common, *(caution for one in comparisons for caution in one.cautions)]
    picture = None
    if options.picture:
        from plans.release.similarity_figure import draw

        picture = draw(products, comparisons)
    return Report(
        result=result,
        verdict=None,
        cautions=[caution.to_json() for caution in cautions],
        rows=_rows(products, comparisons, rule),
        figure_svg=picture,
        refused=("f1", "f2") if all(one.f2 is None for one in comparisons) else (),
    )


def _rows(products: Products, comparisons: Sequence[Comparison], rule: str) -> list[tuple[str, str]]:
    rows = [("rule", rule), ("reference", f"{products.reference.name}, {products.reference.units.shape[0]} units")]
    for comparison in comparisons:
        rows.append(("test", comparison.test))
        if comparison.f1 is None or comparison.f2 is None:
            rows.append(("  f2", "none (see below)"))
            continue
        for name, quantity in (("f1", comparison.f1), ("f2", comparison.f2)):
            boot = comparison.bootstrap.get(name)
            ends = "" if boot is None else f"  (90 %: {boot.low:.2f} … {boot.high:.2f}, {boot.method})"
            rows.append((f"  {name}", f"{quantity.value:.3f}{ends}"))
        if comparison.f2_corrected is not None:
            rows.append(("  f2, bias-corrected", f"{comparison.f2_corrected:.3f}"))
        rows.append(("  similar", "yes" if comparison.similar else "no"))
        kept = [f"{time:g}" for time, keep in zip(products.times, comparison.kept.keep, strict=True) if keep]
        rows.append(
            ("  points kept", f"{len(kept)} of {products.times.size}: {', '.join(kept)} {products.time_unit}".rstrip())
        )
        for time, keep, why in zip(products.times, comparison.kept.keep, comparison.kept.why, strict=True):
            if not keep:
                rows.append((f"  {time:g} {products.time_unit}".rstrip(), why))
    return rows
