"""pH of a buffered liquid that strong acid or base is added to, from the balance of charges.

    [strong cations] - [strong anions] + [H+] = [OH-] + [A-],   [A-] = c Ka / (Ka + [H+])

with the amounts kept in mmol, so that evaporation concentrates and dosing dilutes them. Activity coefficients are
one and the buffer has one pKa; carbon dioxide of the air is left out. Near the pKa this is Henderson's and
Hasselbalch's pH = pKa + log10([A-]/[HA]); far from it water and the strong acid take over by themselves.
"""

import math
from typing import NamedTuple

from sims.world.release_sections import Buffer

_REFERENCE_C = 25.0
_PKW, _PKW_PER_K = 13.995, -0.0325
_LOW, _HIGH = -1.5, 16.0
_HALVINGS = 50
_NEWTON_STEPS, _LARGEST_MOVE = 6, 0.3
_LN10 = math.log(10.0)


class Solutes(NamedTuple):
    """What is dissolved: the weak acid with its salt, and strong cations less strong anions, mmol."""

    buffer_mmol: float
    strong_mmol: float


def fresh_solutes(buffer: Buffer, volume_ml: float) -> Solutes:
    """Return what is in a fresh fill of `volume_ml`."""
    total = buffer.concentration_mmol_per_l * 1e-3
    return Solutes(total * volume_ml, -_excess(buffer.initial_ph, total, 0.0, buffer.pka, _PKW) * volume_ml)


def ph_of(solutes: Solutes, volume_ml: float, temperature_c: float, buffer: Buffer, near: float | None = None) -> float:
    """Return the pH of these solutes in `volume_ml` at `temperature_c`; the root is found to 1e-14 of its bracket.

    From a pH that is `near` it, Newton's steps get there to 1e-12, which is what a world that moves in small steps asks for.
    """
    over = temperature_c - _REFERENCE_C
    pka, pkw = buffer.pka + buffer.pka_per_k * over, _PKW + _PKW_PER_K * over
    weak, strong = solutes.buffer_mmol / volume_ml, solutes.strong_mmol / volume_ml
    if near is not None:
        found = _newton(near, weak, strong, pka, pkw)
        if found is not None:
            return found
    low, high = _LOW, _HIGH
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        # positive charges are in excess on the acid side of the root
        if _excess(middle, weak, strong, pka, pkw) > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _newton(ph: float, weak: float, strong: float, pka: float, pkw: float) -> float | None:
    """Return the root near `ph`, or None where six steps do not settle (a large dose): it is then bracketed."""
    acid = math.pow(10.0, -pka)
    for _ in range(_NEWTON_STEPS):
        hydrogen, hydroxide = math.pow(10.0, -ph), math.pow(10.0, ph - pkw)
        excess = strong + hydrogen - hydroxide - weak * acid / (acid + hydrogen)
        slope = _LN10 * (hydrogen + hydroxide + weak * acid * hydrogen / (acid + hydrogen) ** 2)
        move = excess / slope
        if abs(move) > _LARGEST_MOVE:
            return None
        ph += move
        if abs(move) < 1e-12:
            return ph
    return None


def _excess(ph: float, weak: float, strong: float, pka: float, pkw: float) -> float:
    """Return positive less negative charges at this pH, mol/L."""
    hydrogen, hydroxide, acid = (math.pow(10.0, power) for power in (-ph, ph - pkw, -pka))
    return strong + hydrogen - hydroxide - weak * acid / (acid + hydrogen)
