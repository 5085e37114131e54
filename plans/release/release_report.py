"""The table that the analysis of release profiles prints."""

from collections.abc import Sequence

from nanolab.quantities import Quantity
from plans.release.comparison import Comparison, LawResult

MOST_PROFILES_IN_FULL = 3


def rows_of(comparisons: Sequence[Comparison], balances: Sequence[Quantity | None]) -> list[tuple[str, str]]:
    """Return the rows: every law of a few profiles, one line each of many."""
    rows: list[tuple[str, str]] = []
    full = len(comparisons) <= MOST_PROFILES_IN_FULL
    for comparison, balance in zip(comparisons, balances, strict=True):
        profile = comparison.profile
        if not full:
            rows.append((profile.label, comparison.ranking.sentence))
            continue
        rows.append(("profile", f"{profile.label}: {comparison.time.size} points, weights: {comparison.weights_from}"))
        rows.append(("finding", comparison.ranking.sentence))
        if balance is not None:
            rows.append(("mass balance", str(balance)))
        rows += [(f"  {result.law.title}", law_text(comparison, result)) for result in comparison.results]
    return rows


def law_text(comparison: Comparison, result: LawResult) -> str:
    """Return one law in a line: AICc above the best, weight, parameters."""
    parts = []
    if result.ranked:
        name = result.law.name
        parts.append(f"AICc +{comparison.ranking.differences[name]:.1f}, weight {comparison.ranking.weights[name]:.3f}")
    elif result.why is not None:
        parts.append(result.why)
    for interval in result.intervals:
        quantity = interval.quantity
        parts.append(f"{interval.name} {quantity}" if quantity else f"{interval.name} not identified")
    return "; ".join(parts)
