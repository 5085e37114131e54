"""The physics of the simulated bench: one cuvette, one laser, and what the instruments see of them.

`World` is imported when it is first asked for: printing or checking a world file needs no optics.
"""

from typing import TYPE_CHECKING, Any

from sims.world.config import WorldConfig, load_world_config
from sims.world.sections import CUVETTES

if TYPE_CHECKING:
    from sims.world.bench import World

__all__ = ["CUVETTES", "World", "WorldConfig", "load_world_config"]


if not TYPE_CHECKING:  # a type checker would believe that this module has every name

    def __getattr__(name: str) -> Any:
        if name == "World":
            from sims.world.bench import World

            return World
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
