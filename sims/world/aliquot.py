"""An aliquot out of the cuvette, and fresh medium in its place.

A membrane holds carriers and insert back: of what is outside it a share v/V goes, of everything else nothing. Without a
membrane the carriers in the aliquot go along. Fresh medium is buffer without cargo at the temperature of the air.
"""

from sims.world.cargo import CargoLaws
from sims.world.chemistry import Solutes, fresh_solutes
from sims.world.config import WorldConfig
from sims.world.node import Contents, Node
from sims.world.thermal import DRY_SHARE


def spare_ml(node: Node, config: WorldConfig) -> float:
    """Return how much can be withdrawn, mL: what is left beyond it wets the wall."""
    return max(node.thermal[3] - DRY_SHARE * config.cuvette.volume_ml, 0.0)


def without_aliquot(
    node: Node, config: WorldConfig, laws: CargoLaws, ml: float, *, replace: bool, air_c: float, behind_membrane: bool
) -> Node:
    """Return the node after `ml` were withdrawn and, with `replace`, as much fresh medium was put in.

    ValueError where there is not so much. The pH is left to the caller.
    """
    if not ml <= spare_ml(node, config):
        raise ValueError(f"{ml:g} mL cannot be withdrawn: {spare_ml(node, config):.3g} mL are outside the insert")
    liquid, wall, holder, volume = node.thermal
    kept = (volume - ml) / volume
    contents, after = _taken(node.contents, laws, ml, kept, behind_membrane), volume - ml
    if replace:
        fresh = fresh_solutes(config.buffer, ml)
        weak, strong = contents.solutes
        contents = contents._replace(
            solutes=Solutes(weak + fresh.buffer_mmol, strong + fresh.strong_mmol), dosed_ml=contents.dosed_ml + ml
        )
        after = volume
        liquid += (air_c - liquid) * ml / volume
    return node._replace(thermal=(liquid, wall, holder, after), contents=contents)


def _taken(contents: Contents, laws: CargoLaws, ml: float, kept: float, behind_membrane: bool) -> Contents:
    cargo, removed = contents.cargo, 0.0
    if cargo is not None:
        thinned = laws.thinned(cargo, kept, behind_membrane)
        removed, cargo = cargo.total - thinned.total, thinned
    weak, strong = contents.solutes
    return contents._replace(
        cargo=cargo,
        solutes=Solutes(weak * kept, strong * kept),
        held=contents.held * (1.0 if behind_membrane else kept),
        dosed_ml=contents.dosed_ml - ml,
        withdrawn_ml=contents.withdrawn_ml + ml,
        removed_nmol=contents.removed_nmol + removed,
    )
