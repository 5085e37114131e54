"""Temperature control of a Quantum Northwest TC 1: the reference that the block follows, and the heat for it.

The maker does not publish the algorithm. This one moves a reference towards the target, at full drive or at the rate of a
ramp, and holds the block on it with a proportional and integral controller. "Stable" looks at the block alone.
"""

from dataclasses import dataclass

PERIOD_S = 0.5
"""Between two looks at the sensor, s of lab time."""

FULL_DRIVE_K_PER_MIN = 10.0
STABLE_WITHIN_K = 0.05
STABLE_FOR_S = 20.0

_W_PER_K = 2.5
_INTEGRAL_S = 15.0
_FEED_FORWARD_J_PER_K = 25.0
_MOST_W = 12.0


@dataclass
class Ramp:
    """Ramp settings; ``status`` is the instrument's letter: ``-`` none, ``W`` waits for a target, ``+`` running."""

    k_per_min: float = 1.0
    status: str = "-"


class Controller:
    """Says how much heat the Peltier element is to pump."""

    def __init__(self) -> None:
        self.on = False
        self.target_c = 25.0
        self.ramp = Ramp()
        self._reference_c: float | None = None
        self._integral_w = 0.0
        self._stable_s = 0.0

    @property
    def stable(self) -> bool:
        """Whether the block has been on target long enough."""
        return self.on and self._stable_s >= STABLE_FOR_S

    def aim(self, target_c: float) -> None:
        """Take a new target; a ramp that waits for one begins (or will, when control is switched on)."""
        self.target_c = target_c
        self._stable_s = 0.0
        if self.ramp.status == "W" and self.on:
            self.ramp.status = "+"
        elif self.ramp.status == "+":
            self.ramp.status = "-"

    def switch(self, on: bool) -> None:
        """Switch control on or off."""
        if on and not self.on and self.ramp.status == "W":
            self.ramp.status = "+"
        if on != self.on:
            self._reference_c, self._integral_w, self._stable_s = None, 0.0, 0.0
        self.on = on

    def heat_w(self, block_c: float) -> tuple[float, bool]:
        """Return the heat for the next period, W, and whether a ramp has just come to its end."""
        if not self.on:
            return 0.0, False
        before = block_c if self._reference_c is None else self._reference_c
        rate = self.ramp.k_per_min if self.ramp.status == "+" else FULL_DRIVE_K_PER_MIN
        most = rate * PERIOD_S / 60.0
        step = min(max(self.target_c - before, -most), most)
        self._reference_c = before + step
        off = self._reference_c - block_c
        wanted = _FEED_FORWARD_J_PER_K * step / PERIOD_S + _W_PER_K * off + self._integral_w
        heat = min(max(wanted, -_MOST_W), _MOST_W)
        if heat == wanted:  # an integral that goes on while the drive is at its end would overshoot
            self._integral_w += _W_PER_K * off * PERIOD_S / _INTEGRAL_S
        arrived = self._reference_c == self.target_c
        ended = arrived and self.ramp.status == "+"
        if ended:
            self.ramp.status = "-"
        on_target = arrived and abs(block_c - self.target_c) <= STABLE_WITHIN_K
        self._stable_s = self._stable_s + PERIOD_S if on_target else 0.0
        return heat, ended
