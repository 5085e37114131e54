"""Photothermal efficiency of nanoparticles in a cuvette."""

from plans.photothermal.assay import ASSAY
from plans.photothermal.plan import photothermal, reference

__all__ = ["ASSAY", "photothermal", "reference"]
