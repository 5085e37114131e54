"""Worlds of the release campaign: what is true, what is believed of it, how it is measured and analysed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.release_world import Rig, follow, reference
from nanolab.analysis.cautions import Cautions
from nanolab.bench.defaults import example_sample
from nanolab.models.chromophores import DIMER_SHARE
from nanolab.quantities import Quantity
from plans.release.acid_assay import acid_courses, acid_findings
from plans.release.enzyme_assay import enzyme_courses, enzyme_findings
from plans.release.heat_assay import TriggeredAssay, heat_courses
from plans.release.heat_findings import heat_findings
from plans.release.outline import RoleCourse
from plans.release.passive_assay import dialysis_courses, passive_findings
from plans.release.record import Course
from plans.release.replay import replayed
from plans.release.schedule import Step, looks
from sims.world.config import WorldConfig

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig
    from plans.release.bench_report import Findings

KINDS = ("passive", "acid", "enzyme", "heat", "light", "sampled")
"""The place of a kind seeds its draws: new ones come last."""

IN_BEAM = {"enzyme", "heat", "light"}
"""Kinds whose carriers stand in the beam: their dose is that of the carriers."""

DECLARED = {
    "dose_ratio": 0.02, "concentration": 0.02, "temperature": 0.1, "activation_energy": 0.25, "ph": 0.03, "enzyme": 0.05,
    "addition": 0.01, "known": 1.0, "stray_light": 0.2, "beam_area": 0.05,
    "power_gain": 0.03,
}  # fmt: skip
"""Standard uncertainties of the beliefs: relative, but of the temperature in K and the pH."""

DECLARED_DIMER = 0.04
"""The same, relative, of how a molecule in a dimer absorbs, which the linearity of the read-out rests on."""

DECLARED_SAMPLED = {"withdrawal": 0.01, "volume": 0.01, "insert": 0.10}
"""The same of what matters only where aliquots are withdrawn."""

Analyse = Callable[["Case", Cautions], "Findings"]


@dataclass(frozen=True)
class Case:
    """One world, the truth by name of result, the beliefs as a sample file, how it is measured and analysed."""

    kind: str
    seed: int
    config: WorldConfig
    truth: Mapping[str, float]
    sample: "SampleConfig"
    short: bool
    errors: Mapping[str, float]
    analyse: Analyse

    @property
    def stray_light(self) -> float:
        """What is believed of the spectrometer's stray light."""
        return self.config.spectrometer.stray_light * (1.0 + DECLARED["stray_light"] * self.errors["stray_light"])

    @property
    def power_gain(self) -> float:
        """Power on the sample, the diode cold, over what the laser is asked for: its calibration was taken with a warm one."""
        gain = 1.0 + DECLARED["power_gain"] * self.errors["power_gain"]
        return gain / (1.0 - self.config.laser.warm_up_droop)


def draw_case(kind: str, seed: int, *, short: bool = False) -> Case:
    """Draw a plausible world and the errors of the beliefs about it from one seed."""
    rng = np.random.default_rng([20110614, KINDS.index(kind), seed])
    errors = {name: float(rng.standard_normal()) for name in DECLARED}
    changes, names, analyse = _MAKERS[kind](rng)
    if kind == "sampled":
        # drawn last: the worlds of the other kinds are what they were
        errors |= {name: float(rng.standard_normal()) for name in DECLARED_SAMPLED}
        changes["aliquot.volume_gain"] = 1.0 + DECLARED_SAMPLED["withdrawal"] * errors["withdrawal"]
    config = WorldConfig().replaced(_common(rng, errors) | changes)
    truth = {name: float(_value(config, name)) for name in names}
    return Case(kind, seed, config, truth, believed(config, errors, in_beam=kind in IN_BEAM), short, errors, analyse)


def _value(config: WorldConfig, name: str) -> float:
    for owner in (config.carrier, config.membrane, config.enzyme, config.preparation):
        if hasattr(owner, name):
            return float(getattr(owner, name))
    raise KeyError(name)


def _common(rng: np.random.Generator, errors: Mapping[str, float]) -> dict[str, Any]:
    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    free = between(9.0, 14.0)
    return {
        "cargo.free_dose_umol_per_l": free,
        "cargo.dose_umol_per_l": free * (1.0 + DECLARED["dose_ratio"] * errors["dose_ratio"]),
        "cargo.absorption_per_mmol_cm": between(10.4, 11.5),
        "cargo.dimer_per_mol": between(1.15e4, 1.45e4),
        "cargo.bleaching_per_min": between(0.0005, 0.004),
        "carrier.activation_energy": between(60.0, 100.0),
        "carrier.scatter_exponent": between(2.0, 4.0),
        "carrier.scatter_absorbance": between(0.02, 0.10),
        "cuvette.volume_ml": between(0.9, 1.5),
        "cuvette.reference_offset": between(-0.003, 0.003),
        "ambient.temperature_c": between(20.0, 25.0),
        "ambient.drift_k_per_h": between(-0.05, 0.05),
        "ambient.relative_humidity": between(0.3, 0.6),
        "evaporation.mass_transfer_m_per_s": between(1e-4, 8e-4),
        "spectrometer.lamp_drift": between(0.0005, 0.002),
        "spectrometer.lamp_drift_per_h": between(-0.002, 0.001),
        "spectrometer.stray_light": between(2e-4, 1e-3),
        "peltier_holder.probe_offset_k": DECLARED["temperature"] * errors["temperature"],
        "membrane.membrane_rate": between(0.9, 2.5),
        "membrane.insert_ml": between(0.05, 0.10),
        # the spectrum of the dimers is a belief of the analysis
        "cargo.dimer_absorption": DIMER_SHARE * (1.0 + DECLARED_DIMER * float(rng.standard_normal())),
    }


def believed(config: WorldConfig, errors: Mapping[str, float], *, in_beam: bool) -> "SampleConfig":
    """Return the sample file: every belief off by its draw."""
    sample = example_sample()

    def off(name: str, truth: float, unit: str) -> Quantity:
        declared = (DECLARED | DECLARED_SAMPLED)[name]
        value = truth * (1.0 + declared * errors.get(name, 0.0))
        return Quantity(value, unit, abs(value) * declared)

    enzyme = (
        config.enzyme.stock_nmol_per_l
        * 1e-3
        * config.enzyme.added_ml
        / (config.cuvette.volume_ml + config.enzyme.added_ml)
    )
    # 0.0021 1/h where the transfer is 4e-4 m/s and a millilitre stands in it, at 37 degC
    evaporated = 0.0021 * config.evaporation.mass_transfer_m_per_s / 4e-4 / config.cuvette.volume_ml
    dose = config.cargo.dose_umol_per_l if in_beam else config.cargo.free_dose_umol_per_l
    table = sample.release.model_copy(
        update={
            "concentration": off("concentration", dose, "umol/L"),
            "dose_ratio": Quantity(1.0, "1", DECLARED["dose_ratio"]),
            "thermometer_accuracy": Quantity(DECLARED["temperature"], "K"),
            "ph_accuracy": Quantity(DECLARED["ph"], "1"),
            "activation_energy": off("activation_energy", config.carrier.activation_energy, "kJ/mol"),
            "enzyme": off("enzyme", enzyme, "umol/L"),
            "addition": off("addition", config.enzyme.added_ml, "mL"),
            "beam_area": off("beam_area", config.carrier.beam_area_cm2, "cm2"),
            "insert": off("insert", config.membrane.insert_ml, "mL"),
            "evaporation": Quantity(evaporated * (1.0 + 0.3 * errors["known"]), "1/h", 0.3 * evaporated),
        }
    )
    known = {
        "k_release": Quantity(0.06 * (1.0 + 0.2 * errors["known"]), "1/h", 0.012),
        "enzyme_loss": Quantity(config.enzyme.enzyme_loss + 0.02 * errors["known"], "1/h", 0.02),
    }
    expected = sample.expected_release.model_copy(update=known)
    return sample.model_copy(
        update={
            "release": table,
            "expected_release": expected,
            "sample": sample.sample.model_copy(update={"volume": off("volume", config.cuvette.volume_ml, "mL")}),
        }
    )


def _looks(hours: float, points: int) -> list[Step]:
    return [Step(at_s, "look") for at_s in looks(3600.0 * hours, points=points)]


def _passive(rng: np.random.Generator) -> tuple[dict[str, Any], Sequence[str], Analyse]:
    plateau = float(rng.uniform(60.0, 95.0))
    changes = {
        "carrier.plateau": plateau,
        "carrier.burst": float(rng.uniform(5.0, 25.0)),
        "carrier.k_burst": float(rng.uniform(1.0, 4.0)),
        "carrier.k_release": float(np.exp(rng.uniform(np.log(0.05), np.log(0.25)))),
        "carrier.k_acid": 0.0,
    }

    def analyse(case: Case, cautions: Cautions) -> "Findings":
        rig = Rig(case.config, case.seed, stray_light=case.stray_light)
        medium = reference(rig)
        hours, points = (10.0, 20) if case.short else (24.0, 40)
        free = follow(rig, "free", _looks(4.0 if case.short else 8.0, 20), medium, 120.0)
        return passive_findings(
            free, follow(rig, "dialysis", _looks(hours, points), medium, 120.0), case.sample, cautions
        )

    return changes, ("k_release", "k_burst", "membrane_rate"), analyse


SAMPLING = {"sample_ml": 0.1, "samples": 8, "replace": "yes"}


def _sampled(rng: np.random.Generator) -> tuple[dict[str, Any], Sequence[str], Analyse]:
    changes, names, _ = _passive(rng)

    def analyse(case: Case, cautions: Cautions) -> "Findings":
        hours = 10.0 if case.short else 24.0
        values = SAMPLING | {"temperature_c": 37.0, "cadence_s": 120.0}
        free, sample = dialysis_courses(values, hours, 20 if case.short else 40, 4.0 if case.short else 8.0)
        found = _outlined(case, [free, sample])
        return passive_findings(found["free"], found["sample"], case.sample, cautions)

    return changes, names, analyse


def _outlined(case: Case, courses: Sequence[RoleCourse], meter: Mapping[str, float] | None = None) -> dict[str, Course]:
    """Measure the courses of an assay's outline, each with a fresh cuvette, in one world."""
    rig = Rig(
        case.config, case.seed, electrode=meter is not None, stray_light=case.stray_light, power_gain=case.power_gain
    )
    medium = reference(rig)
    found: dict[str, Course] = {}
    for one in courses:
        rig.target_c = one.temperature_c
        steps = [*one.steps, *(replayed(_rows(found["sample"]), one.cadence_s) if one.replay else [])]
        found[one.role] = follow(rig, one.contents, steps, medium, one.cadence_s, meter)
    return found


def _rows(course: Course) -> list[dict[str, float]]:
    """Return a course's temperatures as the plan keeps them for the control that follows them."""
    pairs = zip(course.time_s.tolist(), course.temperature_c.tolist(), strict=True)
    return [{"run_state_lab_time": at_s, "cuvette_holder_probe": degrees} for at_s, degrees in pairs]


def _acid(rng: np.random.Generator) -> tuple[dict[str, Any], Sequence[str], Analyse]:
    changes = {
        "carrier.plateau": float(rng.uniform(70.0, 95.0)),
        "carrier.burst": float(rng.uniform(5.0, 20.0)),
        "carrier.k_release": float(np.exp(rng.uniform(np.log(0.02), np.log(0.08)))),
        "carrier.k_acid": float(np.exp(rng.uniform(np.log(1.2e4), np.log(4e4)))),
        "ph_electrode.drift_mv_per_h": float(rng.uniform(-0.1, 0.1)),
        "ph_electrode.slope": float(rng.uniform(0.96, 1.0)),
        "dosing.syringe_ml": 3.0,
    }

    def analyse(case: Case, cautions: Cautions) -> "Findings":
        electrode = case.config.ph_electrode
        # a meter that was calibrated, and is off by its declared uncertainty all the same (61.5 mV a unit at 37 degC)
        off_mv = 61.5 * electrode.slope * DECLARED["ph"] * case.errors["ph"]
        meter = {"slope": electrode.slope, "zero_mv": electrode.zero_mv + off_mv}
        values = {
            "stage_h": 1.5 if case.short else 3.0, "points": 8 if case.short else 14, "free_hours": 3.0 if case.short else 5.0,
            "temperature_c": 37.0, "cadence_s": 120.0,
        }  # fmt: skip
        courses = _outlined(case, acid_courses(values, [6.5, 5.5, 5.0]), meter)
        return acid_findings(courses["free"], courses["sample"], case.sample, cautions)

    return changes, ("k_acid", "k_release"), analyse


def _enzyme(rng: np.random.Generator) -> tuple[dict[str, Any], Sequence[str], Analyse]:
    changes = {
        "cargo.dose_umol_per_l": float(rng.uniform(9.0, 14.0)),
        "carrier.plateau": float(rng.uniform(70.0, 95.0)),
        "carrier.burst": float(rng.uniform(5.0, 20.0)),
        "carrier.k_release": float(np.exp(rng.uniform(np.log(0.02), np.log(0.08)))),
        "carrier.k_acid": 0.0,
        "enzyme.kcat": float(rng.uniform(15.0, 45.0)),
        "enzyme.michaelis_constant": float(rng.uniform(4.0, 20.0)),
    }

    def analyse(case: Case, cautions: Cautions) -> "Findings":
        values = {
            "hours": 3.0 if case.short else 5.0, "lead_s": 900.0, "points": 24 if case.short else 40, "temperature_c": 37.0,
            "cadence_s": 60.0,
        }  # fmt: skip
        courses = _outlined(case, enzyme_courses(values))
        return enzyme_findings(courses["control"], courses["sample"], case.sample, cautions)

    return changes, ("kcat", "michaelis_constant"), analyse


def _heat(rng: np.random.Generator) -> tuple[dict[str, Any], Sequence[str], Analyse]:
    changes = {
        "cargo.dose_umol_per_l": float(rng.uniform(9.0, 14.0)),
        "carrier.plateau": float(rng.uniform(70.0, 95.0)),
        "carrier.burst": float(rng.uniform(5.0, 20.0)),
        "carrier.k_release": 0.06,
        "carrier.k_acid": 0.0,
        "carrier.transition_temperature": float(rng.uniform(40.5, 41.5)),
        "carrier.transition_width": float(rng.uniform(0.3, 0.6)),
        "carrier.k_fast": float(rng.uniform(0.05, 0.11)),
        "carrier.k_tail": float(rng.uniform(0.001, 0.004)),
    }

    def analyse(case: Case, cautions: Cautions) -> "Findings":
        stairs = dict(HEAT_VALUES) | ({"stair_s": 150.0, "look_every_s": 25.0} if case.short else {})
        courses = _outlined(case, heat_courses(stairs))
        return heat_findings(courses["dark"], courses["sample"], case.sample, cautions)

    return changes, ("transition_temperature", "transition_width", "k_fast", "k_tail"), analyse


def _light(rng: np.random.Generator) -> tuple[dict[str, Any], Sequence[str], Analyse]:
    changes, names, _ = _heat(rng)
    # one world in four has no photocleavage at all
    strength = float(np.exp(rng.uniform(np.log(1e-4), np.log(1e-3))))
    changes["carrier.k_light"] = 0.0 if rng.uniform() < 0.25 else strength
    changes["carrier.beam_area_cm2"] = float(rng.uniform(0.1, 0.3))

    def analyse(case: Case, cautions: Cautions) -> "Findings":
        values = dict(HEAT_VALUES) | {"trigger": "laser"} | ({"look_every_s": 30.0} if case.short else {})
        courses = _outlined(case, [one for one in heat_courses(values) if one.role != "no_carrier"])
        return heat_findings(courses["dark"], courses["sample"], case.sample, cautions, courses, lit=True)

    return changes, ("k_light", *names), analyse


HEAT_VALUES: Mapping[str, Any] = {one.name: one.default for one in TriggeredAssay().parameters()}

_MAKERS: Mapping[str, Callable[[np.random.Generator], tuple[dict[str, Any], Sequence[str], Analyse]]] = {
    "passive": _passive,
    "acid": _acid,
    "enzyme": _enzyme,
    "heat": _heat,
    "light": _light,
    "sampled": _sampled,
}
