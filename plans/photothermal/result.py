"""What the analysis of a photothermal run says, and its machine-readable form."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.quantities import Quantity
from plans.photothermal.conditions import Conditions
from plans.photothermal.estimates import CurveEstimate
from plans.photothermal.wall import Wall, split_wall

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PhotothermalResult:
    """What the analysis of one run says; quantities that the data cannot support are None.

    ``shares`` terms of the budget of the efficiency, largest first; ``draws`` Monte Carlo draws (n,) by quantity;
    ``estimate`` what the curve shows by itself; ``conditions`` as used, defaults filled in.
    """

    method: str
    heat_capacity_used: str
    efficiency: Quantity | None
    external_efficiency: Quantity | None
    absorption_efficiency: Quantity | None
    time_constant_heating: Quantity | None
    time_constant_cooling: Quantity | None
    heat_capacity: Quantity | None
    heat_loss: Quantity | None
    temperature_rise: Quantity
    blank_rise: Quantity | None
    power: Quantity | None
    residual_autocorrelation: float
    shares: Mapping[str, float]
    cautions: Cautions
    draws: Mapping[str, Array]
    estimate: CurveEstimate
    conditions: Conditions
    refused: tuple[str, ...] = ()

    @cached_property
    def wall(self) -> Wall | None:
        """Coupling and losses of the wall; None where its heat capacity is not given or does not fit the curve."""
        known = self.conditions
        return split_wall(self.estimate.two_node, known.liquid_heat_capacity, known.wall_heat_capacity, self.cautions)

    @property
    def notes(self) -> list[dict[str, str]]:
        """What is null because an input of it was not given: no doubt about the data, so no caution."""
        out: list[dict[str, str]] = []
        if self.absorption_efficiency is None and self.conditions.albedo is None:
            words = "heat per absorbed light needs an albedo (integrating sphere or Mie), and none is given"
            out.append({"quantity": "absorption_efficiency", "text": words})
        if self.wall is None and "wall_impossible" not in self.cautions.codes:
            words = (
                "one temperature curve does not tell coupling and losses of the wall: give the heat capacities of liquid "
                "and wetted wall, the wall's with its uncertainty"
            )
            out.append({"quantity": "two_node.wall", "text": words})
        return out

    def to_json(self) -> dict[str, Any]:
        """Return `result` of the machine-readable contract."""
        named = (
            "efficiency", "external_efficiency", "absorption_efficiency", "time_constant_heating",
            "time_constant_cooling", "heat_capacity", "heat_loss", "temperature_rise", "blank_rise", "power",
        )  # fmt: skip
        out: dict[str, Any] = {"method": self.method, "heat_capacity_used": self.heat_capacity_used}
        for name in named:
            quantity: Quantity | None = getattr(self, name)
            out[name] = None if quantity is None else quantity.to_json()
        out["one_node"] = self.estimate.one_node.to_json()
        out["two_node"] = {
            **self.estimate.two_node.to_json(),
            "wall": None if self.wall is None else self.wall.to_json(),
        }
        out["notes"] = self.notes
        out["residual_autocorrelation"] = self.residual_autocorrelation
        out["shares"] = [{"term": term, "share": share} for term, share in self.shares.items()]
        return out
