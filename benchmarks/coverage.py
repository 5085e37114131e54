"""Do the intervals keep their promise? Hundreds of simulated worlds with secret efficiencies, analysed as a user would.

Run it with ``python -m benchmarks.coverage`` (400 worlds; ``--short`` for 40, ``--divide-by 10`` for inputs known ten
times better). Every world differs in cuvette, holder, evaporation, probe, noise, room and laser; what the analysis
believes is off by a draw from its declared uncertainty. The worlds are those that the simulated bench serves (three
nodes, evaporation, probe lag, correlated noise), none of them a model that the analysis fits.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from nanolab.models.water import water_absorption_per_cm
from nanolab.quantities import Quantity
from plans.photothermal.balance import analyze
from plans.photothermal.conditions import Blank, Conditions
from plans.photothermal.curve import HeatingCurve
from plans.photothermal.prediction import Beliefs, Program, predict, verdict
from plans.photothermal.record import switches_at_readings
from plans.photothermal.result import PhotothermalResult
from sims.world.campaign import RunArrays, Segment, record_run
from sims.world.config import WorldConfig
from sims.world.heater import HeaterResult, heater_calibration

DECLARED = {
    "power": 0.03, "absorbance": 0.02, "heat_capacity": 0.05, "window": 0.005, "volume": 0.01,
    "thermometer_gain": 0.01, "efficiency": 0.05,
}  # fmt: skip
"""Relative standard uncertainties of the beliefs; that of the efficiency is the sample's own, for the verdict."""

WAVELENGTH_NM = 808.0
METER_NOISE_K = 0.005


@dataclass(frozen=True)
class Case:
    """One world, how it is measured, and the errors of what is believed (standard normal draws by name)."""

    seed: int
    config: WorldConfig
    power_w: float
    baseline_s: float
    heat_s: float
    cool_s: float
    calibration_s: float
    """Length of the heater's heating and cooling, s."""
    cycles: int
    errors: Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """What came of one world."""

    seed: int
    kind: str
    truth: float
    value: float
    standard_uncertainty: float
    low: float
    high: float
    verdict_z: float
    verdict_word: str
    cautions: tuple[str, ...]
    largest_term: str
    rise_k: float
    seconds: float

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low <= self.truth <= self.high

    @property
    def z(self) -> float:
        """Deviation from the truth in standard uncertainties."""
        return (self.value - self.truth) / self.standard_uncertainty


def draw_case(seed: int, divide_by: float = 1.0) -> Case:
    """Draw a plausible world, and the errors of the beliefs about it, from one seed."""
    rng = np.random.default_rng([20070307, seed])

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    errors = {name: float(rng.standard_normal()) for name in DECLARED}
    share = {name: u / divide_by for name, u in DECLARED.items()}
    volume = between(0.7, 2.0)
    efficiency, absorbance = between(0.2, 0.95), between(0.3, 1.2)
    changes = {
        "photothermal.efficiency": efficiency,
        "photothermal.absorbance": absorbance,
        "photothermal.bleaching_per_joule": between(0.0, 3e-6),
        "cuvette.volume_ml": volume,
        # the wetted wall grows with the height of the liquid
        "cuvette.wall_heat_capacity_j_per_k": between(0.9, 1.3) * (0.2 + 0.8 * volume),
        "cuvette.holder_heat_capacity_j_per_k": between(5.0, 20.0),
        "cuvette.wall_air_w_per_k": between(0.009, 0.015),
        "cuvette.wall_air_rise_per_k": between(0.0, 0.006),
        "cuvette.wall_holder_w_per_k": between(0.006, 0.015),
        "cuvette.holder_air_w_per_k": between(0.03, 0.08),
        "cuvette.liquid_air_w_per_k": between(0.0005, 0.0015),
        "cuvette.window_transmission": min(0.964 * (1.0 + share["window"] * errors["window"]), 0.998),
        "cuvette.window_absorption": between(0.0, 0.002),
        "ambient.temperature_c": between(20.0, 25.0),
        "ambient.drift_k_per_h": between(-0.15, 0.15),
        "ambient.noise_k": between(0.01, 0.04),
        "ambient.relative_humidity": between(0.3, 0.6),
        "evaporation.mass_transfer_m_per_s": between(2e-4, 8e-4),
        "evaporation.area_m2": between(4e-5, 8e-5),
        "stirring.liquid_wall_w_per_k": between(0.15, 0.30),
        "laser.warm_up_droop": between(0.005, 0.02),
        "laser.warm_up_s": between(80.0, 250.0),
        "laser.drift": between(0.002, 0.006),
        "thermocouple.gain": 1.0 + share["thermometer_gain"] * errors["thermometer_gain"],
        "thermocouple.sample_offset_k": between(-0.3, 0.3),
        "thermocouple.ambient_offset_k": between(-0.3, 0.3),
        "thermocouple.lag_s": between(0.3, 3.0),
        "thermocouple.noise_k": between(0.01, 0.05),
        "thermocouple.noise_correlation_s": between(2.0, 20.0),
        "powermeter.gain": 1.0 + share["power"] * errors["power"],
    }
    config = WorldConfig().replaced(changes)
    tau = heater_calibration(config, heat_s=3000.0, cool_s=3000.0).time_constant_s
    # a scientist sets the power for a rise of 10 to 22 K, within what the laser and the protocol allow
    rise_per_watt = 45.0 * efficiency * (1.0 - 10.0**-absorbance)
    power = float(np.clip(between(10.0, 22.0) / rise_per_watt, 0.2, 1.0))
    cycles = 1 if rng.uniform() < 0.8 else 2
    return Case(
        seed, config, power, 300.0, float(round(between(5.0, 6.0) * tau)), float(round(between(4.5, 5.5) * tau)),
        float(round(6.0 * tau)), cycles, errors,
    )  # fmt: skip


def measure(case: Case, contents: str) -> HeatingCurve:
    """Run sample or blank in the world and return the curve as a driver would deliver it."""
    if contents == "sample":
        heat, cool, cycles = case.heat_s, case.cool_s, case.cycles
    else:
        heat, cool, cycles = 900.0, 600.0, 1
    program = [Segment(case.baseline_s, cuvette=contents)]
    for _ in range(cycles):
        program += [Segment(heat, case.power_w), Segment(cool)]
    offset = 0 if contents == "sample" else 1_000_000
    run = record_run(case.config, case.seed + offset, program, noise_k=METER_NOISE_K, wavelength_nm=WAVELENGTH_NM)
    return curve_of(run, case.config.powermeter.pickoff_fraction, f"{contents} of world {case.seed}")


def curve_of(run: RunArrays, meter_share: float, name: str) -> HeatingCurve:
    """Make a curve of a run's readings; the meter sees `meter_share` of the power at the sample."""
    return HeatingCurve(
        run.time_s,
        run.sample_c,
        run.laser_on,
        np.isfinite(run.sample_c),
        run.ambient_c,
        run.meter_w / meter_share,
        name,
        switches=switches_at_readings(run.time_s, run.laser_on),
    )


def calibrated(case: Case) -> HeaterResult:
    """What a heater of about the sample's own heat finds in this world."""
    efficiency, absorbance = case.config.photothermal.efficiency, case.config.photothermal.absorbance
    heat = max(case.power_w * efficiency * (1.0 - 10.0**-absorbance), 0.1)
    return heater_calibration(case.config, power_w=round(heat, 1), heat_s=case.calibration_s, cool_s=case.calibration_s)


def beliefs_of(case: Case, divide_by: float) -> tuple[Conditions, Beliefs]:
    """What sample.toml and bench.toml say of this world: each number off by its draw."""
    u = {name: value / divide_by for name, value in DECLARED.items()}
    heater = calibrated(case)

    def believed(name: str, truth: float, unit: str) -> Quantity:
        value = truth * (1.0 + u[name] * case.errors[name])
        return Quantity(value, unit, abs(value) * u[name])

    conditions = Conditions(
        power=None,
        absorbance=believed("absorbance", case.config.photothermal.absorbance, "1"),
        window=Quantity(0.964, "1", 0.964 * u["window"]),
        wavelength_nm=WAVELENGTH_NM,
        heat_capacity=believed("heat_capacity", heater.heat_capacity_j_per_k, "J/K"),
        heat_capacity_rise_k=heater.temperature_rise_k,
        liquid_heat_capacity=Quantity(
            4.18 * case.config.cuvette.volume_ml * (1.0 + u["volume"] * case.errors["volume"]), "J/K", 0.042
        ),
        thermometer_gain=Quantity(1.0, "1", u["thermometer_gain"]),
        power_gain=Quantity(1.0, "1", u["power"]),
    )
    if conditions.absorbance is None or conditions.heat_capacity is None or conditions.window is None:
        raise RuntimeError("the beliefs are incomplete")
    beliefs = Beliefs(
        efficiency=believed("efficiency", case.config.photothermal.efficiency, "1"),
        power=Quantity(case.power_w, "W", 0.0),
        absorbance=conditions.absorbance,
        heat_capacity=conditions.heat_capacity,
        window=conditions.window,
        solvent_per_cm=float(water_absorption_per_cm(WAVELENGTH_NM)),
        heat_loss=Quantity(heater.heat_loss_w_per_k, "W/K", 0.05 * heater.heat_loss_w_per_k),
        power_gain=conditions.power_gain,
        thermometer_gain=conditions.thermometer_gain,
    )
    return conditions, beliefs


def run_world(seed: int, divide_by: float = 1.0, kind: str = "good") -> Outcome:
    """Draw, measure, analyse and judge one world; `kind` names what is broken in it."""
    begun = time.perf_counter()
    case = BREAK[kind](draw_case(seed, divide_by))
    conditions, beliefs = beliefs_of(case, divide_by)
    if kind == "departs":
        conditions, beliefs, case = _five_away(case, conditions, beliefs)
    result = analyze(measure(case, "sample"), conditions, Blank(curve=measure(case, "blank")), seed=seed)
    prediction = predict(beliefs, Program(case.baseline_s, case.heat_s, case.cool_s), seed=seed)
    return _outcome(case, kind, result, verdict(result, prediction), time.perf_counter() - begun)


def _outcome(case: Case, kind: str, result: PhotothermalResult, judged: Any, seconds: float) -> Outcome:
    efficiency = result.efficiency
    if efficiency is None or efficiency.interval_95 is None or efficiency.standard_uncertainty is None:
        raise RuntimeError(f"world {case.seed}: no efficiency: {result.cautions.codes}")
    return Outcome(
        seed=case.seed,
        kind=kind,
        truth=case.config.photothermal.efficiency,
        value=efficiency.value,
        standard_uncertainty=efficiency.standard_uncertainty,
        low=efficiency.interval_95[0],
        high=efficiency.interval_95[1],
        verdict_z=judged.z,
        verdict_word=judged.word,
        cautions=tuple(result.cautions.codes),
        largest_term=next(iter(result.shares), ""),
        rise_k=result.temperature_rise.value,
        seconds=seconds,
    )


def _five_away(case: Case, conditions: Conditions, beliefs: Beliefs) -> tuple[Conditions, Beliefs, Case]:
    """Believe an efficiency that lies five combined standard uncertainties from the truth."""
    truth = case.config.photothermal.efficiency
    relative = float(
        np.sqrt(sum(DECLARED[n] ** 2 for n in ("power", "heat_capacity", "thermometer_gain", "absorbance")))
    )
    sign = -1.0 if truth > 0.5 else 1.0
    # the belief's own uncertainty grows with it: solve for the value that lies five away
    value = truth
    for _ in range(50):
        combined = float(np.hypot(relative * truth, DECLARED["efficiency"] * value))
        value = truth + sign * 5.0 * combined
    return conditions, replace(beliefs, efficiency=Quantity(value, "1", DECLARED["efficiency"] * value)), case


def _changed(case: Case, **changes: Any) -> Case:
    return replace(case, config=case.config.replaced({k.replace("__", "."): v for k, v in changes.items()}))


BREAK: dict[str, Callable[[Case], Case]] = {
    "good": lambda case: case,
    "departs": lambda case: case,
    "open vessel": lambda case: _changed(case, evaporation__mass_transfer_m_per_s=4e-3, evaporation__area_m2=1e-4),
    "sensor in the beam": lambda case: _changed(case, thermocouple__beam_heating_k_per_w=10.0),
    "unstirred": lambda case: _changed(case, stirring__on=False),
    "drifting ambient": lambda case: _changed(case, ambient__drift_k_per_h=1.0),
    "sample degrades": lambda case: replace(
        _changed(case, photothermal__bleaching_per_joule=1e-4), cycles=max(case.cycles, 2)
    ),
    "heating cut short": lambda case: replace(case, heat_s=300.0, cycles=1),
}

MATCHING = {
    "open vessel": "evaporation",
    "sensor in the beam": "sensor_in_beam",
    "unstirred": "unstirred",
    "drifting ambient": "ambient_drift",
    "sample degrades": "sample_changed",
    "heating cut short": "not_at_plateau",
}
"""The caution that must fire when this assumption is broken."""


def run_many(seeds: Sequence[int], divide_by: float, kind: str, workers: int) -> list[Outcome]:
    """Run worlds in worker processes."""
    job = partial(run_world, divide_by=divide_by, kind=kind)
    if workers <= 1:
        return list(_counted(map(job, seeds), kind, len(seeds)))
    with ProcessPoolExecutor(workers) as pool:
        return list(_counted(pool.map(job, seeds, chunksize=4), kind, len(seeds)))


def _counted(outcomes: Iterable[Outcome], kind: str, total: int) -> Iterator[Outcome]:
    """Pass outcomes on and say how far it is, every twentieth world, on standard error."""
    for number, outcome in enumerate(outcomes, start=1):
        if number % 20 == 0 or number == total:
            sys.stderr.write(f"{kind}: {number} of {total} worlds\n")
        yield outcome


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Coverage, statistics of z and of the verdict's z, widths, and how often a caution fired."""
    z = np.array([o.z for o in outcomes])
    judged = np.array([o.verdict_z for o in outcomes])
    widths = np.array([0.5 * (o.high - o.low) / o.value for o in outcomes])
    return {
        "worlds": len(outcomes),
        "coverage": float(np.mean([o.covered for o in outcomes])),
        "mean_z": float(z.mean()),
        "sd_z": float(z.std(ddof=1)),
        "median_relative_half_width": float(np.median(widths)),
        "largest_terms": dict(Counter(o.largest_term for o in outcomes).most_common(4)),
        "verdict_mean_z": float(judged.mean()),
        "verdict_sd_z": float(judged.std(ddof=1)),
        "verdict_words": dict(Counter(o.verdict_word for o in outcomes)),
        "with_a_caution": float(np.mean([bool(o.cautions) for o in outcomes])),
        "cautions": dict(Counter(code for o in outcomes for code in o.cautions)),
        "median_seconds": float(np.median([o.seconds for o in outcomes])),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign and print its tables; `--json` prints every world too."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1, help="first world")
    parser.add_argument("--divide-by", type=float, default=1.0, help="know every input this much better")
    parser.add_argument("--short", action="store_true", help="40 worlds, no broken ones")
    parser.add_argument("--broken", type=int, default=20, help="worlds of each broken kind")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    worlds = 40 if options.short else options.worlds
    seeds = range(options.seed, options.seed + worlds)
    good = run_many(seeds, options.divide_by, "good", options.workers)
    tables = {"good": summary(good)}
    few = [] if options.short else range(options.seed, options.seed + options.broken)
    broken: list[Outcome] = []
    for kind in ("departs", *MATCHING) if few else ():
        found = run_many(few, options.divide_by, kind, options.workers)
        broken += found
        tables[kind] = summary(found)
    if options.json:
        sys.stdout.write(json.dumps({"summary": tables, "worlds": [asdict(o) for o in [*good, *broken]]}) + "\n")
        return 0
    _print_tables(tables, broken)
    return 0


def _print_tables(tables: Mapping[str, Mapping[str, Any]], broken: Sequence[Outcome]) -> None:
    for name, value in tables["good"].items():
        print(f"{name:28} {value if not isinstance(value, float) else format(value, '.3f')}")
    if not broken:
        return
    departs = [o for o in broken if o.kind == "departs"]
    print(f"departs, five sigmas away    {sum(o.verdict_word == 'departs' for o in departs)} of {len(departs)}")
    for kind, code in MATCHING.items():
        mine = [o for o in broken if o.kind == kind]
        fired = sum(code in o.cautions for o in mine)
        others = Counter(c for o in mine for c in o.cautions if c != code)
        print(
            f"{kind:28} {code} in {fired} of {len(mine)}; also {dict(others)}; covered {sum(o.covered for o in mine)}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
