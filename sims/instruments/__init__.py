"""Wire simulators, one instrument a module."""
