"""What the analysis of files prints: what the data support, means, rows of the table, the picture."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Caution, Cautions
from nanolab.quantities import Quantity
from plans.photothermal.figure import Picture, draw
from plans.photothermal.result import PhotothermalResult

Array = npt.NDArray[np.float64]

NAMED = {
    "efficiency": "efficiency",
    "external_efficiency": "external efficiency",
    "absorption_efficiency": "absorption efficiency",
    "temperature_rise": "steady rise",
    "blank_rise": "blank's rise",
    "time_constant_heating": "time constant, heating",
    "time_constant_cooling": "time constant, cooling",
    "heat_capacity": "heat capacity",
    "heat_loss": "heat loss",
    "power": "incident power",
}
"""Quantities of a result and what they are called in the table."""

DIMENSIONLESS = ("efficiency", "external_efficiency", "absorption_efficiency")
POSITIVE = ("temperature_rise", "time_constant_heating", "time_constant_cooling", "heat_loss")
WIDEST_EFFICIENCY = 0.5
"""Standard uncertainty beyond which an efficiency, which lies between 0 and 1, is not known at all."""


def unsupported_removed(result: PhotothermalResult, cautions: Cautions) -> PhotothermalResult:
    """Return the result without numbers that mean nothing; each leaves a caution."""
    removed: dict[str, None] = {}
    for name, words in NAMED.items():
        quantity: Quantity | None = getattr(result, name)
        if quantity is None:
            continue
        u = quantity.standard_uncertainty
        if not _finite(quantity):
            cautions.add("not_finite", f"the fit gives no finite {words}: it is left out", name)
        elif name in POSITIVE and (quantity.value <= 0 or (u is not None and u > quantity.value)):
            cautions.add(
                "not_limited",
                f"the curve does not determine the {words} ({quantity}): it is left out",
                name,
            )
        elif name in DIMENSIONLESS and u is not None and u > WIDEST_EFFICIENCY:
            cautions.add(
                "not_limited",
                f"the data do not limit the {words} ({quantity.value:.2f} ± {u:.2f}): it is left out",
                name,
            )
        else:
            continue
        removed[name] = None
    if {"temperature_rise", "heat_loss"} & removed.keys():
        # a number made of these would be one by accident
        for name in DIMENSIONLESS:
            if getattr(result, name) is not None and name not in removed:
                cautions.add("not_limited", f"without them there is no {NAMED[name]}", name)
                removed[name] = None
    return replace(result, **removed)  # type: ignore[arg-type]  # every field named may be None


def models_removed(document: dict[str, Any], cautions: Cautions) -> dict[str, Any]:
    """Return a result in JSON without those numbers of the node models that the curve does not determine."""
    out = dict(document)
    for model, words, names in (
        ("one_node", "one-node", ("initial_slope", "time_constant")),
        ("two_node", "two-node", ("initial_slope", "loss_rate", "eigen_times")),
    ):
        if out.get(model) is None:
            continue
        kept = dict(out[model])
        for name in names:
            items = kept[name] if isinstance(kept[name], list) else [kept[name]]
            if not all(_determined(item) for item in items):
                kept[name] = None
                text = f"the curve does not determine the {words} {name.replace('_', ' ')}: left out"
                cautions.add(f"{model}_undetermined", text, f"{model}.{name}")
        out[model] = kept
    return out


def _determined(quantity: dict[str, Any] | None) -> bool:
    """Tell whether a positive quantity is known to better than its own size."""
    if quantity is None or quantity["value"] <= 0:
        return False
    u = quantity["standard_uncertainty"]
    return u is not None and 0 < u <= quantity["value"]


def _finite(quantity: Quantity) -> bool:
    numbers = [quantity.value, quantity.standard_uncertainty or 0.0, *(quantity.interval_95 or ())]
    return bool(np.all(np.isfinite(numbers)))


def result_json(result: PhotothermalResult | None, method: str, cautions: Cautions | None = None) -> dict[str, Any]:
    """Return one result in machine-readable form; everything None where the curve could not be analysed.

    What the curve does not determine of the node models is None too, with a caution where they are collected.
    """
    if result is None:
        empty: dict[str, Any] = {"method": method, "heat_capacity_used": "none"}
        return empty | dict.fromkeys([*NAMED, "one_node", "two_node", "residual_autocorrelation"]) | {"shares": []}
    cleaned: dict[str, Any] = _without_infinities(result.to_json())
    return models_removed(cleaned, Cautions() if cautions is None else cautions)


def _without_infinities(value: Any) -> Any:
    """Return JSON with None for a quantity that is not finite, and for any other number that is none."""
    if isinstance(value, dict):
        cleaned = {name: _without_infinities(item) for name, item in value.items()}
        if set(cleaned) == {"value", "standard_uncertainty", "interval_95", "unit"} and cleaned["value"] is None:
            return None
        return cleaned
    if isinstance(value, list | tuple):
        return [_without_infinities(item) for item in value]
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        return None
    return value


def combined_json(
    each: Sequence[tuple[str, PhotothermalResult | None]], method: str, cautions: list[Caution]
) -> dict[str, Any]:
    """Return mean, each result and the spread between several preparations.

    Inputs that the files share stay shared: the draws of an efficiency are averaged pairwise, and the scatter
    between preparations over root n is added. Other quantities take the mean uncertainty and that scatter. A
    quantity is None unless every analysed file gives it.
    """
    results = [result for _, result in each if result is not None]
    lost = [name for name, result in each if result is None]
    if lost and results:
        cautions.append(
            Caution("left_out_of_mean", f"the mean is over {len(results)} files, without {', '.join(lost)}")
        )
    out = result_json(None, method)
    spread: dict[str, Any] = {}
    if results:
        out["heat_capacity_used"] = results[0].heat_capacity_used
        for name in NAMED:
            mean, between = _mean([getattr(result, name) for result in results], [r.draws.get(name) for r in results])
            out[name] = None if mean is None else mean.to_json()
            spread[name] = None if between is None else between.to_json()
        for model in ("one_node", "two_node"):
            out[model] = _mean_model([result_json(result, method)[model] for result in results])
        out["residual_autocorrelation"] = float(np.mean([r.residual_autocorrelation for r in results]))
        out["shares"] = result_json(results[0], method)["shares"]
    out["each"] = [{"name": name, **result_json(result, method)} for name, result in each]
    out["spread_between"] = spread.get("efficiency")
    out["spreads"] = spread
    return out


def _mean(
    quantities: Sequence[Quantity | None], draws: Sequence[Array | None]
) -> tuple[Quantity | None, Quantity | None]:
    known = [quantity for quantity in quantities if quantity is not None]
    if len(known) < len(quantities) or not known:
        return None, None
    values = np.array([quantity.value for quantity in known])
    unit, centre = known[0].unit, float(values.mean())
    if values.size == 1:
        return known[0], None
    between = float(np.std(values, ddof=1))
    of_mean = between / np.sqrt(values.size)
    paired = [draw for draw in draws if draw is not None]
    if len(paired) == len(known):
        mean = np.mean(paired, axis=0)
        mean = mean + of_mean * np.random.default_rng(0).standard_normal(mean.size)
        return Quantity.from_samples(np.asarray(mean), unit, centre), Quantity(between, unit)
    shared = float(np.mean([quantity.standard_uncertainty or 0.0 for quantity in known]))
    return Quantity(centre, unit, float(np.hypot(shared, of_mean))), Quantity(between, unit)


def _mean_model(models: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Return the mean of the quantities of a node model over files; lists are left to each file."""
    if not models or any(model is None for model in models):
        return None
    out: dict[str, Any] = {}
    for name in models[0] or {}:
        items = [model[name] for model in models if model is not None]
        if all(isinstance(item, dict) and "value" in item for item in items):
            found = [Quantity(item["value"], item["unit"], item["standard_uncertainty"]) for item in items]
            mean, _ = _mean(found, [])
            out[name] = None if mean is None else mean.to_json()
        else:
            out[name] = None
    return out


def rows_of(each: Sequence[tuple[str, PhotothermalResult | None]], result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the table: the result, or the mean with the spread and one row for each file."""
    rows = [("method", str(result["method"])), ("heat capacity used", str(result["heat_capacity_used"]))]
    for name, words in NAMED.items():
        if result[name] is not None:
            rows.append((words, _text(result[name])))
        elif name == "efficiency":
            rows.append((words, "none (see below)"))
    one, two = result["one_node"], result["two_node"]
    if one is not None:
        rows.append(("one node: first slope", _text(one["initial_slope"])))
        rows.append(("one node: time constant", _text(one["time_constant"])))
        rows.append(("one node: residual rms", _text(one["rms"])))
    if two is not None:
        rows.append(("two nodes: first slope", _text(two["initial_slope"])))
        times = two["eigen_times"]
        rows.append(("two nodes: eigen-times", "–" if times is None else ", ".join(_text(t) for t in times)))
        rows.append(("two nodes: hS/C of the liquid", _text(two["loss_rate"])))
        rows.append(("two nodes: residual rms", _text(two["rms"])))
    shares = [f"{share['term']} {100 * share['share']:.0f} %" for share in result["shares"][:4]]
    if shares:
        rows.append(("uncertainty comes from", ", ".join(shares)))
    if len(each) > 1:
        rows += _rows_of_each(each, result)
    return rows


def _rows_of_each(
    each: Sequence[tuple[str, PhotothermalResult | None]], result: dict[str, Any]
) -> list[tuple[str, str]]:
    main = next((name for name in (*DIMENSIONLESS[:2], "time_constant_cooling") if result[name] is not None), None)
    if main is None:
        return [(name, "not analysed" if found is None else "analysed") for name, found in each]
    rows = [(f"{NAMED[main]}, spread", "–" if not result["spreads"][main] else _text(result["spreads"][main]))]
    for name, found in each:
        quantity = None if found is None else getattr(found, main)
        rows.append((f"  {name}", "not analysed" if quantity is None else str(quantity)))
    return rows


def _text(quantity: dict[str, Any] | None) -> str:
    if quantity is None:
        return "–"
    return str(Quantity(quantity["value"], quantity["unit"], quantity["standard_uncertainty"]))


def picture_of(name: str, result: PhotothermalResult, cautions: Sequence[Caution]) -> bytes:
    """Return the picture of one analysed curve as SVG."""
    prepared = result.estimate.prepared
    curve = prepared.curve
    good = curve.usable
    fit = np.interp(curve.time_s[good], prepared.bin_s, result.estimate.transfer.fit.fitted)
    efficiency = result.efficiency
    subtitle = "no efficiency: see the cautions" if efficiency is None else f"efficiency {efficiency}"
    picture = Picture(
        title=name,
        subtitle=subtitle,
        time_s=curve.time_s[good],
        temperature_c=curve.temperature_c[good],
        laser_on=curve.laser_on[good],
        fit_c=fit,
        cautions=tuple(caution.text for caution in cautions),
    )
    return draw(picture)
