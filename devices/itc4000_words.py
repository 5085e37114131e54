"""Status words of the Thorlabs 4000 series in plain language, and one look at the laser through its read-backs."""

import math
from dataclasses import dataclass

LASER_ON = 1 << 11
"""Bit of the operation condition word: the laser output is on."""
TEC_ON = 1 << 12
"""Bit of the operation condition word: the temperature controller is on."""

PROTECTIONS = {
    0: "the key is off",
    1: "laser diode compliance (open circuit)",
    2: "the interlock is open",
    3: "the diode current is at its limit",
    4: "the output is inhibited (LD enable)",
    5: "the optical power is at its limit",
    7: "the TEC current is at its limit",
    8: "the temperature protection is active",
    9: "the diode is outside its temperature window",
    10: "the temperature sensor fails",
    11: "TEC compliance (open circuit)",
    12: "the TEC cable is not connected",
    13: "the mount is missing",
    14: "the controller is too hot",
}
"""Bits of the measurement condition word."""

PREVENTS_EMISSION = sum(1 << bit for bit in (0, 1, 2, 4, 8, 10, 11, 12, 13, 14))
"""What keeps the controller from emitting, or makes it unwise. Bit 9 (outside the window) passes as the TEC settles."""

REMEDIES = {
    0: "Turn the key on.",
    2: "Close the interlock.",
    4: "Give the LD enable input its level.",
    10: "Check the temperature sensor.",
    12: "Connect the TEC cable.",
}


def words(condition: int) -> str:
    """Return what the measurement condition word says, empty for 0."""
    return ", ".join(text for bit, text in PROTECTIONS.items() if condition >> bit & 1)


def remedy(condition: int) -> str:
    """Return what a person can do about it."""
    return " ".join(text for bit, text in REMEDIES.items() if condition >> bit & 1)


@dataclass(frozen=True)
class Look:
    """What the controller reports in one exchange: current in A, temperature of the diode in degC (NaN: unreadable).

    A current up to `dark_current_a` is no emission. Keeps `devices.laser.LaserLook`.
    """

    output: bool
    operation: int
    condition: int
    current_a: float
    temperature_c: float
    dark_current_a: float

    @property
    def emitting(self) -> bool:
        """True where any of the read-backs says that the laser is on; an unreadable current says nothing."""
        return self.output or bool(self.operation & LASER_ON) or self.current_a > self.dark_current_a

    @property
    def dark(self) -> bool:
        """True where all of them say off and the current can be read."""
        return not self.emitting and math.isfinite(self.current_a)

    def says(self) -> str:
        """Return the read-backs that matter for off, in words."""
        on = "on" if self.operation & LASER_ON else "off"
        current_ma = round(self.current_a * 1e3, 1) + 0.0  # no "-0.0"
        return f"OUTP1? {int(self.output)}, status word laser {on}, diode current {current_ma:.1f} mA"
