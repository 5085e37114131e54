"""Drivers: one module per instrument, ophyd devices over pyvisa, pyserial and seabreeze."""
