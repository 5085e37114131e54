"""RunEngine assembly, clocks, progress."""
