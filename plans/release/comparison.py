"""All release laws on one profile: fits, intervals, criteria, and which of them the data prefer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.curve_fits import ModelFit
from nanolab.analysis.model_selection import Criteria, Ranking, criteria, rank
from nanolab.analysis.profiles import ProfileInterval, profile_intervals
from nanolab.analysis.release_laws import ReleaseLaw, fit_law
from plans.release.profiles import Profile

Array = npt.NDArray[np.float64]

SMALLEST_SD, RELATIVE_SD = 0.5, 0.03
"""Standard deviations for want of others: 0.5 %, or 3 % of the release where that is more; their size is fitted."""

CONTENDER = 10.0
"""AICc difference from which a law has next to no support."""

NOTABLE_MEMORY = 0.5
BURST_POINTS = 4


@dataclass(frozen=True)
class LawResult:
    """One law on one profile; ``fit`` is None where it could not be fitted, ``why`` says so or why it is not ranked."""

    law: ReleaseLaw
    fit: ModelFit | None
    criteria: Criteria | None
    ranked: bool
    why: str | None
    intervals: Sequence[ProfileInterval] = ()

    def to_json(self, ranking: Ranking) -> dict[str, Any]:
        """Return the machine-readable form."""
        name = self.law.name
        fitted = {} if self.fit is None else {p.name: float(v) for p, v in _pairs(self.fit)}
        return {
            "name": name,
            "title": self.law.title,
            "parameters": [parameter_json(one) for one in self.intervals],
            "best_fit": fitted,
            "criteria": None if self.criteria is None else self.criteria.to_json(),
            "aicc_difference": ranking.differences.get(name),
            "weight": ranking.weights.get(name),
            "ranked": self.ranked,
            "why": self.why,
            "residual_memory": None if self.fit is None else self.fit.memory,
        }


def _pairs(fit: ModelFit) -> list[tuple[Any, float]]:
    return list(zip(fit.model.parameters, fit.values, strict=True))


def parameter_json(interval: ProfileInterval) -> dict[str, Any]:
    """Return a parameter: its quantity, or null with the reason."""
    quantity = interval.quantity
    return {
        "name": interval.name,
        "quantity": None if quantity is None else quantity.to_json(),
        "identified": interval.identified,
        "why": interval.why,
    }


@dataclass(frozen=True)
class Comparison:
    """The laws on one profile, in order of their rank; points as used: times, percent and weights, (n,) each."""

    profile: Profile
    time: Array
    percent: Array
    sd: Array
    weights_from: str
    results: Sequence[LawResult]
    ranking: Ranking
    cautions: Cautions = field(default_factory=Cautions)

    def result(self, name: str) -> LawResult:
        """Return the result of one law by name."""
        return next(one for one in self.results if one.law.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "profile": self.profile.label,
            "points": int(self.time.size),
            "time_unit": self.profile.time_unit,
            "weights": self.weights_from,
            "models": [one.to_json(self.ranking) for one in self.results],
            "preferred": self.ranking.preferred,
            "cannot_be_told_apart": list(self.ranking.together) if len(self.ranking.together) > 1 else [],
            "statement": self.ranking.sentence,
        }


def compare_laws(profile: Profile, laws: Sequence[ReleaseLaw], settings: Mapping[str, Any]) -> Comparison:
    """Fit all laws to a profile in percent and rank those that were fitted to all of its points.

    ``settings``: ``weights`` (auto, rule, equal), ``origin`` (drop, keep), ``intervals`` (all, contenders).
    """
    cautions = Cautions(list(profile.notes))
    keep = np.ones(profile.time.size, dtype=np.bool_)
    if settings["origin"] == "drop":
        keep = ~at_origin(profile, cautions)
    time, percent = profile.time[keep], profile.values[keep]
    sd, weights_from = weights_of(profile, keep, settings["weights"], cautions)
    fitted = [_fit(law, time, percent, sd, profile.time_unit) for law in laws]
    scores = {one.law.name: one.criteria.aicc for one in fitted if one.ranked and one.criteria is not None}
    ranking = rank(scores, {law.name: law.title for law in laws})
    everything = settings["intervals"] == "all"
    results = [
        _with_intervals(one, everything or ranking.differences.get(one.law.name, 0.0) < CONTENDER) for one in fitted
    ]
    place = {name: index for index, name in enumerate(ranking.order)}
    results.sort(key=lambda one: place.get(one.law.name, len(place)))
    comparison = Comparison(profile, time, percent, sd, weights_from, results, ranking, cautions)
    add_cautions(comparison)
    return comparison


def at_origin(profile: Profile, cautions: Cautions) -> npt.NDArray[np.bool_]:
    """Return which points (n,) lie at time zero, where every law is nothing: they tell no law from another.

    Where one is not zero, the read-out has an offset: said as a caution.
    """
    origin = profile.time == 0
    offset = profile.values[origin]
    if np.any(np.abs(offset) > SMALLEST_SD):
        cautions.add(
            "offset_at_start",
            f"{profile.label}: {offset[np.argmax(np.abs(offset))]:.3g} % at time zero, where nothing is released: the "
            "read-out has an offset or a burst came before the first point; that point was left out",
        )
    return np.asarray(origin)


def weights_of(profile: Profile, keep: npt.NDArray[np.bool_], wanted: str, cautions: Cautions) -> tuple[Array, str]:
    """Return the standard deviations (n,) that weigh the kept points, and in words where they come from."""
    percent = profile.values[keep]
    if wanted == "equal":
        return np.ones(percent.size), "equal"
    if wanted == "auto" and profile.sd is not None and np.any(profile.sd[keep] > 0):
        sd = profile.sd[keep]
        floor = float(np.median(sd[sd > 0])) / 3.0
        if np.any(sd < floor):
            cautions.add(
                "weights_limited",
                f"{profile.label}: {np.count_nonzero(sd < floor)} standard deviations below a third of the usual one "
                f"were raised to {floor:.2g} %: few repetitions make some look too certain",
            )
        return np.maximum(sd, floor), str(profile.sd_from)
    words = f"the larger of {SMALLEST_SD:g} % and {100 * RELATIVE_SD:g} % of the release"
    return np.maximum(SMALLEST_SD, RELATIVE_SD * np.abs(percent)), words


def _fit(law: ReleaseLaw, time: Array, percent: Array, sd: Array, time_unit: str) -> LawResult:
    points = time.size
    if law.highest_percent is not None:
        beyond = np.flatnonzero(percent > law.highest_percent)
        points = int(beyond[0]) if beyond.size else points
    part = slice(0, points)
    try:
        fit = fit_law(law, time[part], percent[part], sd[part], time_unit)
    except ValueError as error:
        return LawResult(law, None, None, False, f"not fitted: {error}")
    found = criteria(fit.y, fit.fitted, fit.values.size, fit.sd)
    if points < time.size:
        why = f"not ranked: fitted to the {points} of {time.size} points up to {law.highest_percent:g} %"
        return LawResult(law, fit, found, False, why)
    if found.aicc is None:
        why = f"not ranked: {points} points are too few for {fit.values.size} parameters and a variance"
        return LawResult(law, fit, found, False, why)
    return LawResult(law, fit, found, True, None)


def _with_intervals(result: LawResult, wanted: bool) -> LawResult:
    if result.fit is None:
        return result
    if wanted:
        intervals = profile_intervals(result.fit)
    else:
        why = "not worked out: the law has next to no support"
        intervals = [ProfileInterval(p.name, v, p.unit, None, None, None, why) for p, v in _pairs(result.fit)]
    return LawResult(result.law, result.fit, result.criteria, result.ranked, result.why, intervals)


def add_cautions(comparison: Comparison) -> None:
    """Add what a reader of the ranking must know."""
    label, cautions, ranking = comparison.profile.label, comparison.cautions, comparison.ranking
    if not ranking.order:
        cautions.add(
            "too_few_points",
            f"{label}: {comparison.time.size} points cannot rank any law: {ranking.sentence}",
            "models",
        )
        return
    if len(ranking.together) > 1:
        cautions.add("not_told_apart", f"{label}: {ranking.sentence}")
    best = comparison.result(ranking.order[0])
    if best.fit is not None and best.fit.memory > NOTABLE_MEMORY:
        cautions.add(
            "residuals_correlated",
            f"{label}: the residuals of {best.law.title} follow each other (r = {best.fit.memory:.2f}): the law misses "
            "something, the criteria promise too much, the intervals are widened",
        )
    for name in ranking.together:
        result = comparison.result(name)
        if result.law.remark is not None:
            cautions.add(f"{name}_remark", f"{label}: {result.law.title}: {result.law.remark}")
        lost = [one.why for one in result.intervals if one.why is not None]
        if lost:
            cautions.add(f"{name}_not_identified", f"{label}: {result.law.title}: {'; '.join(lost)}")
    _burst_caution(comparison)


def _burst_caution(comparison: Comparison) -> None:
    name = next((name for name in comparison.ranking.together if name.startswith("biphasic")), None)
    fit = None if name is None else comparison.result(name).fit
    if fit is None:
        return
    fast = float(fit.values[1])
    points = int(np.count_nonzero(comparison.time < 3.0 / fast))
    if points < BURST_POINTS:
        text = f"{comparison.profile.label}: {points} points lie within the burst; at least {BURST_POINTS} fix its rate"
        comparison.cautions.add("burst_sparse", text)
