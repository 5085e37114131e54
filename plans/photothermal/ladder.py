"""The same curve under every published convention: a table that shows where published efficiencies part."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nanolab.analysis.montecarlo import DEFAULT_DRAWS
from nanolab.quantities import Quantity
from plans.photothermal.balance import interpret, look_at
from plans.photothermal.conditions import Blank, Conditions
from plans.photothermal.curve import HeatingCurve

NO_WINDOW = Quantity(1.0, "1", 0.0)


@dataclass(frozen=True)
class Rung:
    """One convention: its name, the efficiency with its interval (None where an input is missing), what makes the difference."""

    convention: str
    efficiency: Quantity | None
    difference: str

    def to_json(self) -> dict[str, Any]:
        """Return the row in machine-readable form."""
        value = None if self.efficiency is None else self.efficiency.to_json()
        return {"convention": self.convention, "efficiency": value, "difference": self.difference}


@dataclass(frozen=True)
class _Convention:
    name: str
    method: str
    change: Callable[[Conditions], Conditions | None]
    difference: str


def _solution_only(c: Conditions) -> Conditions | None:
    if c.liquid_heat_capacity is None:
        return None
    return replace(c, heat_capacity=c.liquid_heat_capacity, wall_heat_capacity=None, window=NO_WINDOW)


def _with_wall(c: Conditions) -> Conditions | None:
    if c.liquid_heat_capacity is None or c.wall_heat_capacity is None:
        return None
    return replace(c, heat_capacity=None, window=NO_WINDOW)


def _no_window(c: Conditions) -> Conditions | None:
    return None if c.window is None else replace(c, window=NO_WINDOW)


def _as_given(c: Conditions) -> Conditions | None:
    return c


CONVENTIONS = (
    _Convention(
        "Roper, solution mass only", "roper_unscaled", _solution_only,
        "cooling time with the heat capacity of the liquid alone: the wall that heats and cools with it is left out",
    ),
    _Convention(
        "Roper, solution and wetted wall", "roper_unscaled", _with_wall,
        "the wetted wall is counted, the holder and the window's loss are not",
    ),
    _Convention(
        "effective heat capacity, no window", "roper_unscaled", _no_window,
        "heat capacity as measured in situ; the power is taken as if all of it entered the liquid",
    ),
    _Convention(
        "Roper, unscaled blank", "roper_unscaled", _as_given,
        "window counted; the blank's whole rise is subtracted, though beside particles the solvent gets less light",
    ),
    _Convention(
        "Roper, scaled blank", "roper", _as_given,
        "blank scaled by kappa; the rise is that at the end of heating, steady or not",
    ),
    _Convention(
        "Wang", "wang", _as_given,
        "rate and steady rise from one exponential through the heating alone",
    ),
    _Convention(
        "initial slope", "slope", _as_given,
        "first slope of the two-mode fit times the heat capacity of the liquid alone: no losses, but all that lags counts",
    ),
    _Convention(
        "balance (default)", "balance", _as_given,
        "steady rise and cooling time of two modes through the whole curve, effective heat capacity, scaled blank, window",
    ),
)  # fmt: skip


def ladder(
    curve: HeatingCurve,
    conditions: Conditions,
    blank: Blank | None = None,
    *,
    seed: int = 0,
    draws: int = DEFAULT_DRAWS,
) -> list[Rung]:
    """Analyse one curve under every convention that its inputs allow, the default last.

    Parameters as of `plans.photothermal.balance.analyze`. A convention whose inputs are missing has no efficiency and
    says what is missing.
    """
    found = look_at(curve, conditions)
    rungs = []
    for convention in CONVENTIONS:
        changed = convention.change(conditions)
        if changed is None:
            rungs.append(Rung(convention.name, None, f"not computed: an input is missing ({convention.difference})"))
            continue
        result = interpret(found, changed, blank, method=convention.method, seed=seed, draws=draws)
        words = convention.difference
        if result.efficiency is None:
            missing = [caution.text for caution in result.cautions if caution.quantity == "efficiency"]
            words = "not computed: " + "; ".join(missing)
        rungs.append(Rung(convention.name, result.efficiency, words))
    return rungs
