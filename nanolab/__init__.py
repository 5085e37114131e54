"""Bench control, prediction and honest numbers for nanoparticle experiments."""

__version__ = "0.1.0"
