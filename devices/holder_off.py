"""How the heater of a Quantum Northwest cuvette holder is brought to rest, as data; imports neither ophyd nor bluesky.

The pump needs none: its own watchdog (``SAF``) stops it when this computer falls silent.
"""

from collections.abc import Mapping
from typing import Any

from nanolab.safety.recipe import LineRecipe, OffCheck, OffRecipe, OffStep


def quantum_northwest_tc1(device: str, address: str, settings: Mapping[str, Any]) -> OffRecipe:
    """Return how temperature control is switched off: the command, and the status word that says so.

    A command is a frame in brackets; the closing one is what ends it, on both ways.
    """
    return OffRecipe(
        device,
        address,
        LineRecipe(baudrate=19200, write="]", read="]"),
        (OffStep("[F1 TC -"),),
        # errors that wait, stirrer, control (which has to be -), stable or changing
        (OffCheck("[F1 IS ?", pattern=r"\[F1 IS \d[+-]-[SC]\S*"),),
        "Switch the temperature controller off at its mains.",
    )
