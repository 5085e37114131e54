"""The world: one cuvette in a laser beam, watched by thermometers, a power meter and a spectrometer.

Heat is integrated on a grid of its own, with extra nodes only where something is done to the bench (current,
cuvette, meter). Between nodes a reading takes one more step that is then thrown away: what is read does not
depend on how often, or in which slices, the world is advanced.
"""

import math
from collections.abc import Callable
from typing import Any, get_args

import numpy as np

from nanolab.errors import nearest
from sims.world.config import WorldConfig
from sims.world.constants import Array, water_absorption_per_cm
from sims.world.detector import Detector
from sims.world.heater import heater_calibration
from sims.world.laser import DiodeLaser
from sims.world.node import Node
from sims.world.noise import CorrelatedNoise, generator
from sims.world.optics import LaserLineOptics, LightShares
from sims.world.particles import batch_spectrum
from sims.world.sections import CUVETTES, MeterPosition
from sims.world.sensors import PROBES, PowerMeterHead, Thermometer, lagged, lagged_ramp
from sims.world.thermal import ThermalNodes
from sims.world.wet import WetSide, WetWorld

_COARSEST_STEP_S = 0.5
_RETUNE_CELLS = 64


class World(WetWorld):
    """One simulated bench.

    The same seed, and the same calls at the same lab times, give identical readings.
    """

    def __init__(self, config: WorldConfig, seed: int = 0) -> None:
        self.config = config
        self.seed = seed
        self.on_emission: Callable[[bool], object] = lambda _emitting: None
        """Told whenever a current begins (True) or ceases (False) to flow in the diode."""
        own = config.ambient
        self._ambient_noise = CorrelatedNoise(own.noise_k, own.noise_correlation_s, generator(seed, "ambient air"))
        self._laser = DiodeLaser(config.laser, seed)
        self._asked = (self._laser.current_a, self._laser.case_c)
        self._gate_closed = True
        self._shutter_open = True
        self._optics = LaserLineOptics(config)
        self._nodes = ThermalNodes(config)
        self._detector = Detector(config.spectrometer, seed)
        self._thermometer = Thermometer(config.thermocouple, config.stirring, seed)
        self._head = PowerMeterHead(config.powermeter, config.laser.fast_noise, seed)
        self._wet = WetSide(config, self._nodes, self._thermometer, seed)
        self._choose_step()
        self._next_cell = 1
        self._now = 0.0
        self._cuvette = "sample"
        self._gold = True
        air = self._ambient(0.0)
        fresh = (air, air, air, config.cuvette.volume_ml)
        self._node = Node(0.0, fresh, air, air, air, 0.0, 1.0, self._wet.fresh(config.dosing.syringe_ml, air))
        self._seen = self._node

    # --- time -------------------------------------------------------------------------------------------

    @property
    def time_s(self) -> float:
        """Lab time in seconds; starts at 0."""
        return self._now

    def advance_to(self, time_s: float) -> None:
        """Let lab time pass until `time_s`. ValueError backwards."""
        if not time_s >= self._now or time_s == math.inf:
            raise ValueError(f"lab time cannot go from {self._now:g} s to {time_s:g} s")
        step = self._step_s
        boundary = self._next_cell * step
        while boundary <= time_s:
            self._node = self._stepped(boundary)
            if self._next_cell % _RETUNE_CELLS == 0 and self._node.intact < 1.0:
                self._retune()
            self._next_cell += 1
            boundary = self._next_cell * step
        self._now = time_s

    # --- what can be done to the bench ------------------------------------------------------------------

    @property
    def cuvette(self) -> str:
        """Which cuvette is in the holder: sample, blank, empty or reference."""
        return self._cuvette

    def load(self, cuvette: str) -> None:
        """Put a cuvette at air temperature into the holder, freshly filled. ValueError on an unknown name.

        The holder keeps its temperature, and the sample stays as degraded as it is.
        """
        if cuvette not in CUVETTES:
            raise ValueError(f"no cuvette '{cuvette}': {nearest(cuvette, list(CUVETTES))}")
        node = self._commit()
        air = self._ambient(self._now)
        self._cuvette = cuvette
        self._gold = cuvette in {"sample", "carrier"}
        self._nodes.filled = cuvette != "empty"
        fresh = (air, air, node.thermal[2], self.config.cuvette.volume_ml)
        contents = self._wet.fresh(node.contents.syringe_ml, air, cuvette)
        self._set_node(node._replace(thermal=fresh, contents=contents))

    def set_diode(self, current_a: float, case_temperature_c: float) -> None:
        """Let this current (A) flow in the laser diode from now on, its case at this temperature (degC).

        0 A is no emission. While the gate is open no current flows. ValueError on a negative or non-finite number.
        """
        if (current_a, case_temperature_c) == self._asked:
            # a controller says so every second: nothing happens, and no node is wanted
            return
        self._commit()
        held_back = not self._gate_closed and 0.0 < current_a < math.inf
        self._drive(0.0 if held_back else current_a, case_temperature_c)
        self._asked = (current_a, case_temperature_c)
        self._retune()

    def _drive(self, current_a: float, case_c: float) -> None:
        """Let this current flow from now on, and tell of light that comes or goes with it."""
        before = self._laser.emitting
        self._laser.set_diode(self._now, current_a, case_c)
        if self._laser.emitting != before:
            self.on_emission(self._laser.emitting)

    def set_gate(self, closed: bool) -> None:
        """Close or open the contact in the laser's interlock loop or TTL line: open, no current flows, no light."""
        if closed != self._gate_closed:
            self._commit()
            self._gate_closed = closed
            current_a, case_c = self._asked
            self._drive(current_a if closed else 0.0, case_c)

    def set_shutter(self, is_open: bool) -> None:
        """Open or close the shutter in the beam: closed, the diode may emit and no light reaches the bench."""
        if is_open != self._shutter_open:
            self._commit()
            self._shutter_open = is_open

    @property
    def meter_position(self) -> MeterPosition:
        """Where the power-meter head is: sample_plane, behind_cuvette or pickoff."""
        return self._head.position

    @meter_position.setter
    def meter_position(self, position: str) -> None:
        known: dict[str, MeterPosition] = {name: name for name in get_args(MeterPosition)}
        if position not in known:
            raise ValueError(f"no position '{position}': {nearest(position, list(known))}")
        self._commit()
        self._head.position = known[position]

    # --- what the instruments see -----------------------------------------------------------------------

    def laser_power_w(self) -> float:
        """Return the true optical power at the sample plane now, W."""
        return self._laser.power_at(self._now) if self._shutter_open else 0.0

    def diode_current_for(self, power_w: float) -> float:
        """Return the current, A, that gives this power at the sample plane by the threshold line of the cold diode.

        ValueError where the diode does not give so much.
        """
        return self._laser.current_for(power_w)

    def diode_voltage_v(self) -> float:
        """Return the forward voltage of the laser diode, V."""
        return self._laser.voltage()

    def photodiode_power_w(self) -> float:
        """Return what the laser controller's own photodiode shows, W."""
        return self._laser.monitor_w(self._now)

    def read_temperature(self, probe: str, noise_k: float = 0.0) -> float:
        """Return the temperature, degC, that a thermocouple shows: "sample", "ambient" or "holder".

        `noise_k` is white noise of the meter, on top of the probe's own. ValueError on an unknown probe.
        """
        node = self._peek()
        if probe == "sample":
            liquid, wall, _, _ = node.thermal
            across = abs(liquid - wall) if self._nodes.filled else 0.0
            return self._thermometer.sample(self._now, node.sample_probe_c, across, noise_k)
        if probe == "ambient":
            return self._thermometer.other("ambient", self._now, node.ambient_probe_c, noise_k)
        if probe == "holder":
            return self._thermometer.other("holder", self._now, node.holder_probe_c, noise_k)
        raise ValueError(f"no probe '{probe}': {nearest(probe, list(PROBES))}")

    def read_meter_power(self, wavelength_nm: float) -> float:
        """Return what the power meter shows at its position, W, when set to this wavelength."""
        return self._head.read(self._peek().head_w, wavelength_nm - self._laser.wavelength_nm)

    def read_counts(self, integration_s: float, lamp_on: bool, averages: int = 1) -> Array:
        """Return a spectrum in counts, float64 of shape (2136,), clipped at full scale, not rounded."""
        transmission = self._transmission() if lamp_on else None
        if lamp_on and self._node.contents.cargo is not None:
            self._set_node(self._wet.lit(self._commit(), integration_s * averages))
        laser = self._laser
        width = self.config.laser.line_width_nm
        light = self._detector.light(self._now, transmission, self.laser_power_w(), laser.wavelength_nm, width)
        return self._detector.expose(self._now, integration_s, light, averages)

    @property
    def wavelengths_nm(self) -> Array:
        """Wavelength of every pixel, nm, shape (2136,): the detector's calibration."""
        return self._detector.wavelengths_nm

    @property
    def wavelength_coefficients(self) -> tuple[float, float, float, float]:
        """The cubic polynomial of the calibration: wavelength of pixel p is the sum of c_i p^i, nm."""
        return self.config.spectrometer.wavelength_coefficients

    @property
    def nonlinearity_coefficients(self) -> tuple[float, float, float, float]:
        """The detector's non-linearity: true counts = counts / sum of n_i counts^i, dark subtracted."""
        return self.config.spectrometer.nonlinearity

    # --- the truth --------------------------------------------------------------------------------------

    def absorbance(self) -> float:
        """Return the true decadic absorbance of the particles in the beam at the laser's present line."""
        return self._absorbance(self._peek())

    def truth(self) -> dict[str, Any]:
        """Return what is true now, for tests and for the truth port only (JSON-able)."""
        node = self._peek()
        liquid, wall, holder, volume = node.thermal
        laser = self._laser
        return {
            "time_s": self._now,
            "cuvette": self._cuvette,
            "laser": {
                "emitting": laser.emitting,
                "power_w": self.laser_power_w(),
                "wavelength_nm": laser.wavelength_nm,
                "current_a": laser.current_a,
                "case_c": laser.case_c,
                "gate_closed": self._gate_closed,
                "shutter_open": self._shutter_open,
            },
            "liquid_c": liquid,
            "wall_c": wall,
            "holder_c": holder,
            "ambient_c": self._ambient(self._now),
            "probe_c": node.sample_probe_c,
            "volume_ml": volume if self._nodes.filled else 0.0,
            "photothermal": self._photothermal_truth(node),
            "powermeter": {
                "position": self._head.position,
                "gain": self.config.powermeter.gain,
                "head_w": node.head_w,
            },
            **self._wet.truth(node),
        }

    def _photothermal_truth(self, node: Node) -> dict[str, float]:
        config = self.config
        absorbance = self._sample_absorbance(node)
        shares = self._optics.shares(absorbance, filled=True)
        albedo = batch_spectrum(config.particles).albedo(self._laser.wavelength_nm)
        efficiency = config.photothermal.efficiency
        heater = heater_calibration(config)
        return {
            "efficiency": efficiency,
            "external_efficiency": efficiency * shares.particles,
            "absorption_efficiency": efficiency / (1.0 - albedo),
            "albedo": albedo,
            "absorbance": absorbance,
            "intact": node.intact,
            "window_transmission": config.cuvette.window_transmission,
            "solvent_absorption_per_cm": self._optics.solvent_per_cm,
            "heat_capacity_j_per_k": heater.heat_capacity_j_per_k,
            "heat_loss_w_per_k": heater.heat_loss_w_per_k,
            "time_constant_s": heater.time_constant_s,
        }

    # --- inside -----------------------------------------------------------------------------------------

    def _ambient(self, time_s: float) -> float:
        own = self.config.ambient
        return own.temperature_c + own.drift_k_per_h * time_s / 3600.0 + self._ambient_noise.at(time_s)

    def _sample_absorbance(self, node: Node) -> float:
        # concentration rises as the volume falls, and dosing dilutes; a cuvette that is not the sample holds none of it
        fill = self.config.cuvette.volume_ml
        share = fill / node.thermal[3] * node.contents.held if self._gold else 1.0
        return self.config.photothermal.absorbance * self._optics.relative_absorbance * node.intact * share

    def _absorbance(self, node: Node) -> float:
        return self._sample_absorbance(node) if self._gold else 0.0

    def _shares(self, node: Node) -> LightShares:
        return self._optics.shares(self._absorbance(node), self._nodes.filled)

    def _shift_nm(self, node: Node) -> float:
        return self.config.photothermal.lspr_shift_nm_at_full_loss * (1.0 - node.intact)

    def _retune(self) -> None:
        self._optics.tune(self._laser.wavelength_nm, self._shift_nm(self._node))

    def _choose_step(self) -> None:
        self._step_s = _COARSEST_STEP_S
        while self._step_s > self._nodes.longest_step():
            self._step_s /= 2.0

    def _commit(self) -> Node:
        self._set_node(self._peek())
        return self._node

    def _set_node(self, node: Node) -> None:
        self._node = self._seen = node

    def _peek(self) -> Node:
        if self._node.time_s == self._now:
            return self._node
        if self._seen.time_s != self._now:
            self._seen = self._stepped(self._now)
        return self._seen

    def _stepped(self, time_s: float) -> Node:
        node = self._node
        step = time_s - node.time_s
        air = self._ambient(node.time_s + 0.5 * step)
        power = self._laser.mean_power(node.time_s, time_s) if self._shutter_open else 0.0
        q_liquid = q_wall = head = 0.0
        lit = power
        if power > 0.0:
            shares = self._shares(node)
            if self._head.shadows_cuvette:
                lit = 0.0
            q_liquid = lit * (self.config.photothermal.efficiency * shares.particles + shares.solvent)
            q_wall = lit * shares.wall
            head = power * self._head.share(shares.behind)
        thermal = self._nodes.step(node.thermal, step, q_liquid, q_wall, air)
        thermal, contents = self._wet.step(node, thermal, step, air, lit)
        thermocouple = self.config.thermocouple
        beam = thermocouple.beam_heating_k_per_w * lit
        lag = thermocouple.lag_s
        before, after = node.thermal, thermal
        return Node(
            time_s,
            thermal,
            lagged_ramp(node.sample_probe_c, before[0] + beam, after[0] + beam, step, lag),
            lagged(node.ambient_probe_c, air, step, thermocouple.ambient_lag_s),
            lagged_ramp(node.holder_probe_c, before[2], after[2], step, lag),
            lagged(node.head_w, head, step, self.config.powermeter.head_s),
            self._degraded(node, step, lit, 0.5 * (before[0] + after[0]) - air),
            contents,
        )

    def _degraded(self, node: Node, step_s: float, power_w: float, over_air_k: float) -> float:
        if not self._gold:
            return node.intact
        own = self.config.photothermal
        rate = own.bleaching_per_joule * power_w + own.ageing_per_kelvin_second * max(over_air_k, 0.0)
        return node.intact * math.exp(-rate * step_s) if rate > 0.0 else node.intact

    def _transmission(self) -> Array:
        """Return what passes of the lamp per pixel, relative to the same cuvette with a clear liquid."""
        config = self.config
        node = self._peek()
        pixels = self._detector.wavelengths_nm
        if not self._nodes.filled:
            ratio = config.cuvette.empty_window_transmission / config.cuvette.window_transmission
            return np.full(pixels.shape, ratio**2)
        path_cm = config.photothermal.path_length_mm / 10.0
        solvent = config.photothermal.solvent_absorption_scale * water_absorption_per_cm(pixels)
        depth = solvent * path_cm
        if self._cuvette in {"reference", "medium"}:
            depth = depth + math.log(10.0) * config.cuvette.reference_offset
        if self._gold:
            shift = self._shift_nm(node)
            nominal = config.laser.wavelength_nm
            spectrum = batch_spectrum(config.particles)
            shape = spectrum.relative(pixels - shift, nominal - shift)
            at_line = self._sample_absorbance(node) / self._optics.relative_absorbance
            depth = depth + math.log(10.0) * at_line * shape
        depth = depth + math.log(10.0) * self._wet.absorbance(node, pixels, path_cm)
        return np.asarray(np.exp(-depth), dtype=np.float64)
