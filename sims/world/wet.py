"""The wet side of the bench: syringe and buffer, the pH electrode, the Peltier holder with its stirrer.

Nothing here acts unless an instrument asks for it: without a pump, a pH meter or a temperature-controlled holder the
bench is, to the last bit, the one without them.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nanolab.errors import nearest
from sims.world.aliquot import without_aliquot
from sims.world.cargo import ADDITIONS, BEHIND_MEMBRANE, IN_THE_BEAM, CargoLaws
from sims.world.chemistry import Solutes, fresh_solutes, ph_of
from sims.world.chromophores import Chromophore
from sims.world.config import WorldConfig
from sims.world.constants import Array
from sims.world.indicator import Dye
from sims.world.node import Contents, Node
from sims.world.noise import generator
from sims.world.sensors import Thermometer, lagged_ramp
from sims.world.thermal import DRY_SHARE, ThermalNodes, ThermalState

NERNST_MV_PER_K = 0.198416
"""ln(10) R/F: the slope of an ideal electrode is 59.16 mV per unit of pH at 25 degC."""

_ABSOLUTE_ZERO_C = -273.15

WITH_INDICATOR = "indicator"
"""The cuvette that holds medium and a pH indicator."""


class HolderReading(NamedTuple):
    """What the sensors of a Peltier holder show, degC: in its block, of the probe in the liquid, at the exchanger."""

    block_c: float
    probe_c: float
    exchanger_c: float


class WetSide:
    """Keeps what is done to the liquid and the holder, and carries it out step by step.

    Parameters
    ----------
    config : WorldConfig
        The world.
    nodes : ThermalNodes
        Takes the holder's heat and the stirring.
    thermometer : Thermometer
        Its sample probe sees plumes where nothing stirs.
    seed : int
        Of the noise of electrode and holder.
    """

    def __init__(self, config: WorldConfig, nodes: ThermalNodes, thermometer: Thermometer, seed: int) -> None:
        self._config = config
        self._nodes = nodes
        self._thermometer = thermometer
        self._electrode_noise = generator(seed, "pH electrode")
        self._holder_noise = generator(seed, "Peltier holder")
        self.plunger_mm_per_s = 0.0
        self.lost_share = 0.0
        self.electrode = False
        self.peltier = False
        self.stirring_rpm = 0.0
        self.lamp = False
        self._laws = CargoLaws(config)
        self._behind_membrane = self._in_beam = self._dyed = False
        self._chromophore: Chromophore | None = None
        self._dye: Dye | None = None

    def fresh(self, syringe_ml: float, temperature_c: float, cuvette: str = "sample") -> Contents:
        """Return the contents of a freshly filled cuvette."""
        self._behind_membrane, self._in_beam = cuvette in BEHIND_MEMBRANE, cuvette in IN_THE_BEAM
        self._dyed = cuvette == WITH_INDICATOR
        solutes = fresh_solutes(self._config.buffer, self._config.cuvette.volume_ml)
        ph = self.ph(solutes, self._config.cuvette.volume_ml, temperature_c) if self.electrode else 7.0
        cargo = self._laws.fresh(cuvette, self._config.cuvette.volume_ml)
        if cargo is not None and not self.electrode:
            ph = self.ph(solutes, self._config.cuvette.volume_ml, temperature_c)
        return Contents(solutes, syringe_ml=syringe_ml, ph=ph, electrode_ph=ph, cargo=cargo)

    def ph(self, solutes: Solutes, volume_ml: float, temperature_c: float, near: float | None = None) -> float:
        """Return the true pH; sooner from a value that is `near` it."""
        return ph_of(solutes, volume_ml, temperature_c, self._config.buffer, near)

    # --- what instruments do ----------------------------------------------------------------------------

    def fit_peltier(self) -> None:
        """Put the cuvette into the Peltier holder."""
        self.peltier = True
        own = self._config.peltier_holder
        self._nodes.fit_holder(own.heat_capacity_j_per_k, own.wall_w_per_k, own.air_w_per_k)

    def stir(self, rpm: float) -> None:
        """Let the holder's stirrer turn at this speed."""
        self.stirring_rpm = rpm
        share = min(1.0, rpm / self._config.peltier_holder.full_stirring_rpm)
        self._nodes.mix(share)
        self._thermometer.plumes = share < 1.0

    # --- step by step -----------------------------------------------------------------------------------

    def step(
        self, node: Node, thermal: ThermalState, step_s: float, air_c: float, laser_w: float = 0.0
    ) -> tuple[ThermalState, Contents]:
        """Return temperatures and contents after `step_s`, `thermal` being what heat alone would make of them."""
        contents = node.contents
        if self.plunger_mm_per_s != 0.0:
            thermal, contents = self._moved(thermal, contents, step_s, air_c)
        if self.electrode and self.wet(thermal):
            before = node.contents.ph
            after = self.ph(contents.solutes, thermal[3], thermal[0], before)
            own = self._config.ph_electrode
            lag = own.lag_s if self._nodes.mixed else own.unstirred_lag_s
            shown = lagged_ramp(contents.electrode_ph, before, after, step_s, lag)
            contents = contents._replace(ph=after, electrode_ph=shown)
        elif contents.cargo is not None and self.plunger_mm_per_s != 0.0:
            contents = contents._replace(ph=self.ph(contents.solutes, thermal[3], thermal[0]))
        if contents.cargo is not None:
            cargo = self._laws.step(
                contents.cargo, step_s, 0.5 * (node.thermal[0] + thermal[0]), contents.ph, thermal[3],
                mixed=self._nodes.mixed, laser_w=laser_w, lamp=self.lamp, behind_membrane=self._behind_membrane,
            )  # fmt: skip
            contents = contents._replace(cargo=cargo)
        return thermal, contents

    def wet(self, thermal: ThermalState) -> bool:
        """Return whether the electrode is in the liquid."""
        return self._nodes.filled and thermal[3] > self._config.ph_electrode.smallest_ml

    def _moved(
        self, thermal: ThermalState, contents: Contents, step_s: float, air_c: float
    ) -> tuple[ThermalState, Contents]:
        """Move the plunger for `step_s`; forward is into the cuvette."""
        own = self._config.dosing
        area_mm2 = 0.25 * math.pi * own.syringe_diameter_mm**2
        moved = self.plunger_mm_per_s * step_s * area_mm2 * 1e-3
        if moved > 0.0:
            moved = min(moved, contents.syringe_ml)
            into = moved * (1.0 - self.lost_share)
        else:
            spare = thermal[3] - DRY_SHARE * self._config.cuvette.volume_ml if self._nodes.filled else 0.0
            # beyond the liquid the pump draws air, which is no liquid in the syringe either
            into = moved = -min(-moved, max(spare, 0.0))
        contents = contents._replace(syringe_ml=contents.syringe_ml - moved)
        if not self._nodes.filled:
            return thermal, contents  # nothing is there to mix with: it runs away
        return self._mixed(thermal, contents, into, air_c)

    def _mixed(
        self, thermal: ThermalState, contents: Contents, into_ml: float, air_c: float
    ) -> tuple[ThermalState, Contents]:
        liquid, wall, holder, volume = thermal
        after = volume + into_ml
        weak, strong = contents.solutes
        spilled = 0.0
        if into_ml > 0.0:
            liquid += (air_c - liquid) * into_ml / after
            strong -= into_ml * self._config.dosing.strong_acid_mol_per_l
            spilled = max(0.0, after - self._config.dosing.capacity_ml)
            kept = 1.0 - spilled / after
        else:
            kept = after / volume
        cargo = contents.cargo
        contents = contents._replace(
            cargo=None if cargo is None else self._laws.thinned(cargo, kept, self._behind_membrane),
            solutes=Solutes(weak * kept, strong * kept),
            held=contents.held * kept,
            dosed_ml=contents.dosed_ml + into_ml,
            spilled_ml=contents.spilled_ml + spilled,
        )
        return (liquid, wall, holder, after - spilled), contents

    def added(self, node: Node, what: str, air_c: float) -> Node:
        """Return the node after an addition by pipette."""
        own, contents = self._config.enzyme, node.contents
        liquid, wall, holder, volume = node.thermal
        after = volume + own.added_ml
        cargo = contents.cargo
        if cargo is not None and what == "enzyme":
            cargo = cargo._replace(unmixed=cargo.unmixed + 1e-3 * own.stock_nmol_per_l * own.added_ml)
        if cargo is not None and what == "surfactant":
            cargo = self._laws.dissolved(cargo, self._behind_membrane)
        thermal = (liquid + (air_c - liquid) * own.added_ml / after, wall, holder, after)
        return node._replace(thermal=thermal, contents=contents._replace(cargo=cargo))

    def withdrawn(self, node: Node, ml: float, air_c: float, *, replace: bool) -> Node:
        """Return the node after an aliquot of nominally `ml`, replaced by fresh medium or not. ValueError: not so much there."""
        node = without_aliquot(
            node, self._config, self._laws, ml * self._config.aliquot.volume_gain,
            replace=replace, air_c=air_c, behind_membrane=self._behind_membrane,
        )  # fmt: skip
        contents = node.contents
        if not replace or (contents.cargo is None and not self.electrode):
            return node
        ph = self.ph(contents.solutes, node.thermal[3], node.thermal[0])
        return node._replace(contents=contents._replace(ph=ph))

    # --- what instruments see ---------------------------------------------------------------------------

    def absorbance(self, node: Node, wavelength_nm: Array, path_cm: float) -> Array | float:
        """Return the decadic absorbance of cargo, carriers and indicator in the beam, (n,); 0 where there are none."""
        if self._dyed and self._nodes.filled:
            return path_cm * self._indicator_per_cm(node, wavelength_nm)
        cargo = node.contents.cargo
        if cargo is None:
            return 0.0
        own, carrier, volume = self._config.cargo, self._config.carrier, node.thermal[3]
        if self._chromophore is None:
            self._chromophore = Chromophore(
                wavelength_nm, own.absorption_per_mmol_cm, own.dimer_per_mol, own.dimer_absorption
            )
        seen = path_cm * self._chromophore.free(cargo.free / volume)
        if self._in_beam and cargo.scatter > 0.0:
            thick = cargo.scatter * self._config.cuvette.volume_ml / volume
            scatter = thick * carrier.scatter_absorbance * (wavelength_nm / 500.0) ** -carrier.scatter_exponent
            seen = seen + path_cm * self._chromophore.bound * (cargo.bound / volume) + scatter
        return np.asarray(seen, dtype=np.float64)

    def _indicator_per_cm(self, node: Node, wavelength_nm: Array) -> Array:
        own, contents, (liquid, _, _, volume) = self._config, node.contents, node.thermal
        if self._dye is None:
            self._dye = Dye(wavelength_nm, own.indicator)
        dye = own.indicator.concentration_umol_per_l * contents.held * own.cuvette.volume_ml / volume
        return self._dye.per_cm(self.ph(contents.solutes, volume, liquid), liquid, dye)

    def lit(self, node: Node, seconds: float) -> Node:
        """Return the node after an exposure that took `seconds` of the assay light, credited without lab time."""
        cargo = node.contents.cargo
        if cargo is None or seconds <= 0.0:
            return node
        kept = math.exp(-self._config.cargo.bleaching_per_min / 60.0 * seconds)
        cargo = cargo._replace(free=cargo.free * kept, lamp_s=cargo.lamp_s + seconds)
        return node._replace(contents=node.contents._replace(cargo=cargo))

    def electrode_mv(self, node: Node) -> float | None:
        """Return the voltage of the glass electrode, mV; None where it hangs dry."""
        if not self.wet(node.thermal):
            return None
        own = self._config.ph_electrode
        nernst = NERNST_MV_PER_K * (node.thermal[0] - _ABSOLUTE_ZERO_C)
        noise = own.noise_mv * float(self._electrode_noise.standard_normal())
        drift = own.drift_mv_per_h * node.time_s / 3600.0
        return own.zero_mv + drift - own.slope * nernst * (node.contents.electrode_ph - 7.0) + noise

    def holder(self, node: Node, air_c: float) -> HolderReading:
        """Return what the sensors of the Peltier holder show."""
        own = self._config.peltier_holder
        block, probe = (own.noise_k * float(draw) for draw in self._holder_noise.standard_normal(2))
        return HolderReading(
            node.thermal[2] + own.sensor_offset_k + block,
            node.thermal[0] + own.probe_offset_k + probe,
            air_c + own.exchanger_k_per_w * abs(self._nodes.holder_heat_w),
        )

    def truth(self, node: Node) -> dict[str, Any]:
        """Return what is true now of liquid, syringe and holder (JSON-able)."""
        contents, (liquid, _wall, _holder, volume) = node.contents, node.thermal
        filled = self._nodes.filled
        return {
            "ph": self.ph(contents.solutes, volume, liquid) if filled else None,
            "electrode_ph": contents.electrode_ph if self.electrode else None,
            "release": self._laws.truth(contents.cargo),
            "dosing": {
                "dosed_ml": contents.dosed_ml,
                "spilled_ml": contents.spilled_ml,
                "syringe_ml": contents.syringe_ml,
                "held": contents.held,
                "plunger_mm_per_s": self.plunger_mm_per_s,
            },
            "aliquots": {"withdrawn_ml": contents.withdrawn_ml, "removed_nmol": contents.removed_nmol},
            "holder": {
                "peltier": self.peltier,
                "heat_w": self._nodes.holder_heat_w,
                "stirring_rpm": self.stirring_rpm if self.peltier else None,
            },
        }


class WetWorld:
    """What the instruments of release assays do to the world and see of it; a part of `sims.world.bench.World`."""

    config: WorldConfig
    _wet: WetSide
    _nodes: ThermalNodes
    _now: float
    _commit: Callable[[], Node]
    _peek: Callable[[], Node]
    _ambient: Callable[[float], float]
    _set_node: Callable[[Node], None]
    _choose_step: Callable[[], None]

    def fit_peltier_holder(self) -> None:
        """Have the cuvette stand in the Peltier holder from now on. ValueError once lab time has begun."""
        if self._now > 0.0:
            raise ValueError("the holder is chosen before lab time begins")
        self._wet.fit_peltier()
        # the step must suit the liquid when it is stirred too
        self._nodes.mix(1.0)
        self._choose_step()
        self._wet.stir(0.0)

    def set_holder_heat(self, power_w: float) -> None:
        """Let the Peltier element pump this heat (W) into the block from now on, within what it can."""
        most = self.config.peltier_holder.max_heat_w
        wanted = min(max(power_w, -most), most)
        if wanted != self._nodes.holder_heat_w:
            self._commit()
            self._nodes.holder_heat_w = wanted

    def set_stirring(self, rpm: float) -> None:
        """Let the holder's stirrer turn at this speed from now on."""
        if rpm != self._wet.stirring_rpm:
            self._commit()
            self._wet.stir(rpm)

    def add(self, what: str) -> None:
        """Pipette ``enzyme`` or ``surfactant`` into the cuvette. ValueError on anything else, or without a cuvette."""
        if what not in ADDITIONS:
            raise ValueError(f"no addition '{what}': {nearest(what, list(ADDITIONS))}")
        if not self._nodes.filled:
            raise ValueError(f"the {what} has no liquid to go into: no filled cuvette is in the holder")
        self._set_node(self._wet.added(self._commit(), what, self._ambient(self._now)))

    def withdraw(self, ml: float, replace: bool = True) -> None:
        """Take an aliquot of nominally `ml` of what is outside the insert, and put as much fresh medium in unless told not to.

        ValueError on a volume that is not positive, or where there is not so much liquid.
        """
        if not 0.0 < ml < math.inf:
            raise ValueError(f"an aliquot of {ml:g} mL cannot be withdrawn: it must be above 0")
        if not self._nodes.filled:
            raise ValueError("there is no liquid to withdraw: no filled cuvette is in the holder")
        self._set_node(self._wet.withdrawn(self._commit(), ml, self._ambient(self._now), replace=replace))

    def set_lamp(self, on: bool) -> None:
        """Let the assay light be on or off from now on: it bleaches the cargo that it meets."""
        if on != self._wet.lamp:
            self._commit()
            self._wet.lamp = on

    def read_holder(self) -> HolderReading:
        """Return what the holder's sensors show, degC."""
        return self._wet.holder(self._peek(), self._ambient(self._now))

    def set_plunger(self, mm_per_s: float, lost_share: float = 0.0) -> None:
        """Move the plunger at this speed from now on (positive: into the cuvette); a share of it may be lost."""
        if (mm_per_s, lost_share) != (self._wet.plunger_mm_per_s, self._wet.lost_share):
            self._commit()
            self._wet.plunger_mm_per_s, self._wet.lost_share = mm_per_s, lost_share

    def plunger_travel_left_mm(self) -> float:
        """Return how far the plunger can still go before it stands against the end of the syringe, mm."""
        area_mm2 = 0.25 * math.pi * self.config.dosing.syringe_diameter_mm**2
        return 1e3 * self._peek().contents.syringe_ml / area_mm2

    def fit_electrode(self) -> None:
        """Hang the pH electrode into the liquid, in equilibrium with it."""
        node = self._commit()
        self._wet.electrode = True
        ph = self._wet.ph(node.contents.solutes, node.thermal[3], node.thermal[0])
        self._set_node(node._replace(contents=node.contents._replace(ph=ph, electrode_ph=ph)))

    def read_electrode_mv(self) -> float | None:
        """Return the voltage of the pH electrode, mV; None where it hangs dry."""
        return self._wet.electrode_mv(self._peek())
