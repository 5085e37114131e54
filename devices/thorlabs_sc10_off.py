"""Off recipe of the Thorlabs SC10: close the shutter, read the blade back. Imports neither ophyd nor bluesky.

The controller's only command is a toggle, sent only where ``ens?`` says that it is enabled. Closing a shutter does not
turn the laser off.
"""

from typing import Any

from nanolab.safety.recipe import LineRecipe, OffCheck, OffRecipe, OffStep

_DISABLED = OffCheck("ens?", equals=("0",), lines=2, reply=1)
"""Each line is echoed first; the prompt ``> `` has no end of its own and stands before the next echo."""


def recipe(device: str, address: str, settings: Any) -> OffRecipe:
    """Return how the shutter is closed. Nothing in `settings` matters for it."""
    return OffRecipe(
        device,
        address,
        LineRecipe(baudrate=9600, write="\r", read="\r"),
        steps=(OffStep("ens", reply=1, unless=_DISABLED),),
        checks=(_DISABLED, OffCheck("closed?", equals=("1",), lines=2, reply=1)),
        by_hand="Turn the laser off, and close the shutter at its controller.",
        flush="@@@",
        flush_reply=2,
    )
