"""Many runs without sockets: the served world itself, read exactly as its instruments read it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sims.world.bench import World
from sims.world.config import WorldConfig
from sims.world.constants import Array
from sims.world.laser import DiodeLaser


@dataclass(frozen=True)
class Segment:
    """A stretch of lab time with one setting: `duration_s`, read every `cadence_s`.

    ``cuvette`` is loaded at the beginning (None: what is there stays). ``power_w`` is the power that
    the world's cold laser would give; ``current_a``, if given, is the diode's current itself and counts
    instead. ``case_c`` is the temperature of the diode's case.
    """

    duration_s: float
    power_w: float = 0.0
    cadence_s: float = 1.0
    cuvette: str | None = None
    current_a: float | None = None
    case_c: float = 25.0


@dataclass(frozen=True)
class RunArrays:
    """Readings of one campaign run, all of shape (n,)."""

    time_s: Array
    sample_c: Array
    ambient_c: Array
    meter_w: Array
    laser_on: npt.NDArray[np.bool_]
    segment: npt.NDArray[np.int64]
    """Index of the segment each reading belongs to."""
    world: World
    """The world after the run: its truth, and spectra if wanted."""


def record_run(
    config: WorldConfig,
    seed: int,
    program: Sequence[Segment],
    *,
    noise_k: float = 0.0,
    wavelength_nm: float | None = None,
) -> RunArrays:
    """Run a program in a new world and return its readings.

    Each segment is set at its beginning and read from there on every cadence, its end excluded; the last
    one is read at its end too. A reading is that of the sample and ambient thermocouples and the power meter,
    in this order. `noise_k` is the white noise of the temperature meter; `wavelength_nm` what the power meter
    is set to (None: the nominal laser line).

    ValueError on an unknown cuvette, a power that the laser cannot give, or a duration or cadence that is
    not positive.
    """
    bench = World(config, seed)
    line_nm = config.laser.wavelength_nm if wavelength_nm is None else wavelength_nm
    rows: list[tuple[float, ...]] = []
    for index, part in enumerate(program):
        on = _begin(bench, index, part)
        start = bench.time_s
        # the tolerance keeps a reading at the very end from appearing by rounding
        count = math.ceil(part.duration_s / part.cadence_s - 1e-9)
        for reading in range(count + (index == len(program) - 1)):
            bench.advance_to(min(start + reading * part.cadence_s, start + part.duration_s))
            sample = bench.read_temperature("sample", noise_k)
            ambient = bench.read_temperature("ambient", noise_k)
            rows.append((bench.time_s, sample, ambient, bench.read_meter_power(line_nm), on, index))
        bench.advance_to(start + part.duration_s)
    time_s, samples, ambients, meter, emitting, segment = np.array(rows, dtype=np.float64).reshape(-1, 6).T
    return RunArrays(time_s, samples, ambients, meter, emitting > 0.0, segment.astype(np.int64), bench)


def _begin(bench: World, index: int, part: Segment) -> float:
    """Set up one segment; returns 1.0 where the diode carries a current."""
    if not (part.duration_s > 0.0 and part.cadence_s > 0.0):
        raise ValueError(f"segment {index}: {part.duration_s} s every {part.cadence_s} s: both must be positive")
    if part.cuvette is not None:
        bench.load(part.cuvette)
    line = DiodeLaser(bench.config.laser, 0)
    current = line.current_for(part.power_w) if part.current_a is None else part.current_a
    bench.set_diode(current, part.case_c)
    return float(current > 0.0)


def without_errors(config: WorldConfig) -> WorldConfig:
    """Return the same world with steady air, a steady laser, and thermometers and power meter that are right.

    What happens in the cuvette, the probe's lag and its heating by the beam stay; so does the spectrometer.
    """
    return config.replaced(
        {
            "ambient.drift_k_per_h": 0.0,
            "ambient.noise_k": 0.0,
            "laser.warm_up_droop": 0.0,
            "laser.turn_on_s": 0.0,
            "laser.fast_noise": 0.0,
            "laser.drift": 0.0,
            "laser.monitor_gain": 1.0,
            "thermocouple.gain": 1.0,
            "thermocouple.sample_offset_k": 0.0,
            "thermocouple.ambient_offset_k": 0.0,
            "thermocouple.holder_offset_k": 0.0,
            "thermocouple.noise_k": 0.0,
            "powermeter.gain": 1.0,
            "powermeter.zero_w": 0.0,
            "powermeter.noise_w": 0.0,
            "powermeter.responsivity_per_nm": 0.0,
            "stirring.unstirred_fluctuation": 0.0,
        }
    )
