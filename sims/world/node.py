"""Everything on the bench that changes by itself, at one moment."""

from typing import NamedTuple

from sims.world.cargo import Cargo
from sims.world.chemistry import Solutes
from sims.world.thermal import ThermalState


class Contents(NamedTuple):
    """What dosing changes beside volume and temperature."""

    solutes: Solutes
    held: float = 1.0
    """Share of the fresh fill's particles that is still in the cuvette (what was withdrawn or ran over is not)."""
    syringe_ml: float = 0.0
    dosed_ml: float = 0.0
    """Went into the cuvette since it was filled, less what was withdrawn."""
    spilled_ml: float = 0.0
    withdrawn_ml: float = 0.0
    """Went with aliquots since it was filled, put back or not."""
    removed_nmol: float = 0.0
    """Cargo that went with them, free or in carriers."""
    ph: float = 7.0
    """True pH; followed only where there is a glass electrode."""
    electrode_ph: float = 7.0
    """pH that the glass electrode has come to; as above."""
    cargo: Cargo | None = None
    """None in the cuvettes of the photothermal assay."""


class Node(NamedTuple):
    """Everything that changes by itself, at one moment: lab time s, temperatures degC."""

    time_s: float
    thermal: ThermalState
    """Liquid, wall, holder, and the volume in mL."""
    sample_probe_c: float
    ambient_probe_c: float
    holder_probe_c: float
    head_w: float
    intact: float
    """Share of the sample's absorbance that has not degraded."""
    contents: Contents
