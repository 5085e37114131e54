"""Cargo on its way: bound to its carrier, free behind a membrane, free in the beam; all in nmol.

    burst:  A' = -k_burst a(T) A
    main:   B_i' = -[k_release a + k_acid a (10^-pH - 10^-pH0) + switch + photocleavage + kcat E/(KM + S) + heat_i(T)] B_i

with a(T) = exp[Ea/R (1/310.15 K - 1/T)] and carriers sorted by their own transition temperature i (a logistic
distribution, cut 3 K below its middle): heat_i is k_fast for those that have passed it, else k_tail times the share
that has. What leaves is free at once; behind a membrane inside and outside come to equal concentrations.
"""

import itertools
import math
from typing import Any, NamedTuple

from sims.world.config import WorldConfig

BEHIND_MEMBRANE = frozenset({"dialysis", "free"})
IN_THE_BEAM = frozenset({"carrier", "standard", "filtrate", "lysate"})
ADDITIONS = ("enzyme", "surfactant")
REFERENCE_C = 37.0

_BINS, _REACH = 640, 8.0
"""Bins of equal width over eight widths either side of the middle: one carrier in 1,500 lies beyond."""
_HEAT_FROM_K = 3.0
_GAS_KJ = 8.314462618e-3
_ZERO_C = 273.15
_PER_H, _PER_MIN = 1.0 / 3600.0, 1.0 / 60.0


class Cargo(NamedTuple):
    """Where the cargo is (nmol), what else is in the liquid, and what the light has done."""

    burst: float = 0.0
    main: float = 0.0
    """Times `unspent`: in carriers, able to leave."""
    bins: tuple[float, ...] = ()
    """Shares by transition temperature, from the lowest."""
    unspent: float = 0.0
    """Sum of `bins`."""
    stuck: float = 0.0
    inside: float = 0.0
    """Free, behind the membrane."""
    free: float = 0.0
    """Free, in the beam."""
    enzyme: float = 0.0
    """Active and mixed in, nmol."""
    unmixed: float = 0.0
    scatter: float = 0.0
    """Share of the fresh fill's carriers in the beam."""
    lamp_s: float = 0.0
    light_j: float = 0.0

    @property
    def bound(self) -> float:
        """Cargo in and on carriers, nmol."""
        return self.burst + self.main * self.unspent + self.stuck

    @property
    def total(self) -> float:
        """All cargo that is left, nmol."""
        return self.bound + self.inside + self.free


def _logistic(place: float) -> float:
    return 1.0 / (1.0 + math.exp(min(-place, 60.0)))


class CargoLaws:
    """Moves `Cargo` along."""

    def __init__(self, config: WorldConfig) -> None:
        self._config = config
        self._lowest = _logistic(-_HEAT_FROM_K / config.carrier.transition_width)
        edges = [self._passed(_REACH * (2.0 * index / _BINS - 1.0)) for index in range(_BINS + 1)]
        self._shares = tuple((b - a) / (edges[-1] - edges[0]) for a, b in itertools.pairwise(edges))
        self._fresh_h = math.pow(10.0, -config.buffer.initial_ph)

    def fresh(self, cuvette: str, volume_ml: float) -> Cargo | None:
        """Return the cargo of a freshly filled cuvette; None where it holds none."""
        own, carrier, batch = self._config.cargo, self._config.carrier, self._config.preparation
        if cuvette == "free":
            return Cargo(inside=own.free_dose_umol_per_l * volume_ml)
        if cuvette in {"carrier", "dialysis"}:
            dose = own.dose_umol_per_l * volume_ml
            burst = 0.01 * carrier.burst * dose
            main = 0.01 * (carrier.plateau - carrier.burst) * dose
            bins = self._shares
            scatter = 1.0 if cuvette == "carrier" else 0.0
            return Cargo(burst, main, bins, sum(bins), dose - burst - main, scatter=scatter)
        free = {
            "standard": batch.standard_umol_per_l,
            "lysate": batch.total_umol_per_l,
            "filtrate": batch.total_umol_per_l * (1.0 - 0.01 * batch.encapsulation_efficiency) * batch.filter_recovery,
        }
        return Cargo(free=free[cuvette] * volume_ml) if cuvette in free else None

    def dissolved(self, cargo: Cargo, behind_membrane: bool) -> Cargo:
        """Return what surfactant makes of it: no carriers, everything free."""
        inside = cargo.inside + (cargo.bound if behind_membrane else 0.0)
        free = cargo.free + (0.0 if behind_membrane else cargo.bound)
        return cargo._replace(burst=0.0, main=0.0, stuck=0.0, scatter=0.0, inside=inside, free=free)

    def thinned(self, cargo: Cargo, kept: float, behind_membrane: bool) -> Cargo:
        """Return what is left where a share of the liquid went: carriers go along unless a membrane holds them."""
        cargo = cargo._replace(free=cargo.free * kept, enzyme=cargo.enzyme * kept, unmixed=cargo.unmixed * kept)
        if behind_membrane:
            return cargo
        return cargo._replace(
            burst=cargo.burst * kept, main=cargo.main * kept, stuck=cargo.stuck * kept, scatter=cargo.scatter * kept
        )

    def rate(self, temperature_c: float, ph: float) -> float:
        """Return the rate of the main part without enzyme, heat and light, 1/s."""
        carrier = self._config.carrier
        over = 1.0 / (REFERENCE_C + _ZERO_C) - 1.0 / (temperature_c + _ZERO_C)
        faster = math.exp(carrier.activation_energy / _GAS_KJ * over)
        per_h = (carrier.k_release + carrier.k_acid * (math.pow(10.0, -ph) - self._fresh_h)) * faster
        if carrier.k_switch > 0.0:
            per_h += carrier.k_switch / (1.0 + math.pow(10.0, carrier.switch_steepness * (ph - carrier.switch_pka)))
        return _PER_H * per_h if per_h > 0.0 else 0.0

    def step(
        self, cargo: Cargo, step_s: float, temperature_c: float, ph: float, volume_ml: float,
        *, mixed: bool, laser_w: float, lamp: bool, behind_membrane: bool,
    ) -> Cargo:  # fmt: skip
        """Return the cargo `step_s` later; everything around it is constant meanwhile."""
        carrier, own = self._config.carrier, self._config.cargo
        burst, main, bins, unspent = cargo.burst, cargo.main, cargo.bins, cargo.unspent
        enzyme, unmixed = cargo.enzyme, cargo.unmixed
        before = burst + main * unspent if bins else 0.0
        if before > 0.0:
            rate = self.rate(temperature_c, ph)
            if unmixed > 0.0 or enzyme > 0.0:
                enzyme, unmixed = self._mixed(enzyme, unmixed, step_s, mixed)
                substrate = main * unspent / volume_ml
                per_min = (
                    self._config.enzyme.kcat * enzyme / volume_ml / (self._config.enzyme.michaelis_constant + substrate)
                )
                rate += per_min * _PER_MIN
            if laser_w > 0.0:
                rate += carrier.k_light * laser_w / carrier.beam_area_cm2
            main *= math.exp(-rate * step_s)
            over = 1.0 / (REFERENCE_C + _ZERO_C) - 1.0 / (temperature_c + _ZERO_C)
            burst *= math.exp(-carrier.k_burst * _PER_H * math.exp(carrier.activation_energy / _GAS_KJ * over) * step_s)
            if temperature_c > carrier.transition_temperature - _HEAT_FROM_K:
                bins = self._heated(bins, temperature_c, step_s)
                unspent = sum(bins)
        left = before - burst - main * unspent if bins else 0.0
        inside, free = (cargo.inside + left, cargo.free) if behind_membrane else (cargo.inside, cargo.free + left)
        if behind_membrane:
            inside, free = self._through(inside, free, volume_ml, step_s)
        if own.loss_per_h > 0.0:
            kept = math.exp(-own.loss_per_h * _PER_H * step_s)
            inside, free = inside * kept, free * kept
        lamp_s = cargo.lamp_s
        if lamp:
            free *= math.exp(-own.bleaching_per_min * _PER_MIN * step_s)
            lamp_s += step_s
        return cargo._replace(
            burst=burst, main=main, bins=bins, unspent=unspent, inside=inside, free=free, enzyme=enzyme, unmixed=unmixed,
            lamp_s=lamp_s, light_j=cargo.light_j + laser_w * step_s,
        )  # fmt: skip

    def _mixed(self, enzyme: float, unmixed: float, step_s: float, mixed: bool) -> tuple[float, float]:
        own = self._config.enzyme
        share = math.exp(-step_s / (own.mixing_s if mixed else own.mixing_unstirred_s))
        kept = math.exp(-own.enzyme_loss * _PER_H * step_s)
        return (enzyme + unmixed * (1.0 - share)) * kept, unmixed * share * kept

    def _heated(self, bins: tuple[float, ...], temperature_c: float, step_s: float) -> tuple[float, ...]:
        carrier = self._config.carrier
        place = (temperature_c - carrier.transition_temperature) / carrier.transition_width
        slow, fast = carrier.k_tail * self._passed(place), carrier.k_fast
        slowly, quickly = math.exp(-slow * step_s), math.exp(-fast * step_s)
        # a bin has passed when its middle has
        whole = min(max(int(0.5 * (place / _REACH + 1.0) * _BINS + 0.5), 0), _BINS)
        return (*(share * quickly for share in bins[:whole]), *(share * slowly for share in bins[whole:]))

    def _passed(self, place: float) -> float:
        """Return the share of carriers whose transition lies below `place`, in widths from the middle."""
        return max(0.0, _logistic(place) - self._lowest) / (1.0 - self._lowest)

    def _through(self, inside: float, free: float, volume_ml: float, step_s: float) -> tuple[float, float]:
        own = self._config.membrane
        ratio = own.insert_ml / volume_ml
        both = inside + free
        rest = both * ratio / (1.0 + ratio)
        inside = rest + (inside - rest) * math.exp(-own.membrane_rate * _PER_H * step_s)
        return inside, both - inside

    def truth(self, cargo: Cargo | None) -> dict[str, Any]:
        """Return what the release assays want to know, by the names of their results, and where the cargo is."""
        carrier, enzyme, batch = self._config.carrier, self._config.enzyme, self._config.preparation
        names = (
            "burst", "k_burst", "plateau", "k_release", "k_acid", "k_switch", "transition_temperature",
            "transition_width", "k_fast", "k_tail", "k_light",
        )  # fmt: skip
        found: dict[str, Any] = {name: getattr(carrier, name) for name in names}
        found["membrane_rate"] = self._config.membrane.membrane_rate
        found.update({name: getattr(enzyme, name) for name in ("kcat", "michaelis_constant", "enzyme_loss")})
        found["encapsulation_efficiency"] = batch.encapsulation_efficiency
        if cargo is not None:
            found["cargo_nmol"] = {
                "bound": cargo.bound, "inside": cargo.inside, "free": cargo.free, "enzyme": cargo.enzyme + cargo.unmixed,
            }  # fmt: skip
            found["lamp_s"], found["light_j"] = cargo.lamp_s, cargo.light_j
        return found
