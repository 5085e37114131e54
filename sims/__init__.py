"""The simulated bench: a world of physics behind the wire protocols of real instruments."""
