"""What the wall does in a two-node curve: known only where the heat capacities of liquid and wall are both given.

One temperature curve shows four numbers (a, p1, p2, z) of the five: with r = C_s / C_w

    z = k r + g_w,   p1 + p2 = k + g + z,   p1 p2 = z (k + g) - k^2 r

and every r that leaves the losses positive fits equally well.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.quantities import Quantity
from plans.photothermal.nodes import TwoNode

Array = npt.NDArray[np.float64]

FEWEST_POSSIBLE = 0.8
"""Share of the draws that must give positive losses: below, the heat capacities do not fit the curve."""


@dataclass(frozen=True)
class Wall:
    """Conductances in W/K: liquid to wall, liquid to the surroundings, wall to the surroundings."""

    coupling: Quantity
    liquid_loss: Quantity
    wall_loss: Quantity

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {name: getattr(self, name).to_json() for name in ("coupling", "liquid_loss", "wall_loss")}


def coupling_rates(p1: Array, p2: Array, z: Array, capacity_ratio: Array) -> tuple[Array, Array, Array]:
    """Return k, g and g_w in 1/s for rates, zero and C_s / C_w of one shape; NaN where no positive set exists."""
    left = p1 + p2 - z
    square = (z * left - p1 * p2) / capacity_ratio
    k = np.sqrt(np.where(square > 0, square, np.nan))
    g, g_w = left - k, z - k * capacity_ratio
    possible = (g >= 0) & (g_w >= 0)
    return np.where(possible, k, np.nan), np.where(possible, g, np.nan), np.where(possible, g_w, np.nan)


def split_wall(two: TwoNode, liquid: Quantity | None, wall: Quantity | None, cautions: Cautions) -> Wall | None:
    """Return the wall's conductances; None without both heat capacities (J/K) and the uncertainty of the wall's.

    None with a caution where the two heat capacities do not fit the curve.
    """
    if liquid is None or wall is None or wall.standard_uncertainty is None:
        return None
    p1, p2, z = two.draws
    normal = np.random.default_rng(1).standard_normal((2, p1.size))
    c_s = liquid.value + (liquid.standard_uncertainty or 0.0) * normal[0]
    c_w = np.maximum(wall.value + wall.standard_uncertainty * normal[1], 1e-3 * wall.value)
    k, g, g_w = coupling_rates(p1, p2, z, c_s / c_w)
    possible = np.isfinite(k)
    if np.mean(possible) < FEWEST_POSSIBLE:
        cautions.add(
            "wall_impossible",
            f"a liquid of {liquid.value:.3g} J/K and a wall of {wall.value:.3g} J/K do not fit the two times of the curve: "
            "coupling and losses of the wall are left out",
            "two_node.wall",
        )
        return None
    c_s, c_w = c_s[possible], c_w[possible]
    parts = (k[possible] * c_s, g[possible] * c_s, g_w[possible] * c_w)
    return Wall(*(Quantity.from_samples(part, "W/K", float(np.median(part))) for part in parts))
