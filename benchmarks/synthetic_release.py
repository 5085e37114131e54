"""Run folders of release assays made without a bench, in a moment: for the pages' tests and pictures, never for physics."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.synthetic import FULL_SCALE, descriptor, event, numbers
from nanolab.assay import Assay, Setup, parse_settings
from nanolab.bench.defaults import example_sample, simulated_bench
from nanolab.discovery import PLANS, load
from nanolab.engine.session import digest
from nanolab.journal import RunWriter
from nanolab.models.chromophores import dimerised_per_mol_cm, monomer_per_mol_cm
from nanolab.quantities import Quantity

Array = npt.NDArray[np.float64]

PIXELS = 256
BEGUN_S = 1_790_000_000.0
CARGO_UMOL_L = 12.0
MEMBRANE_PER_H, RATE_PER_H, LEVEL = 1.6, 0.06, 0.9
NM = np.linspace(340.0, 1020.0, PIXELS)
LAMP = 50000.0 * np.exp(-(((NM - 620.0) / 170.0) ** 2))
DIMER_L_PER_MOL = 13000.0

HOURS = 24.0
DEEDS: Mapping[str, Mapping[float, str]] = {
    "release_ph": {12.0: "ph 5.5"},
    "release_enzyme": {2.4: "enzyme", 23.5: "surfactant"},
    "release_triggered": {23.5: "surfactant"},
}
OPTICAL_PH = {
    "optical": Quantity(7.41, "1", 0.032).to_json(), "probe": Quantity(7.385, "1", 0.03).to_json(), "difference": -0.025,
    "sigmas": -0.57, "wavelength_shift_nm": 0.12, "wavelength_stretch": 1.0,
}  # fmt: skip
CONTROLS = {
    "release": ("free",),
    "release_ph": ("indicator", "free"),
    "release_enzyme": ("control",),
    "release_triggered": ("dark",),
    "encapsulation": ("standard", "filtrate"),
}


def absorbance(free_umol_l: float) -> Array:
    """Return the decadic absorbance (n,) of free cargo, monomer and dimer in balance, in 1 cm."""
    total = 1e-6 * free_umol_l
    kc = 8.0 * DIMER_L_PER_MOL * total
    share = 1.0 if kc < 1e-12 else 2.0 * (np.sqrt(1.0 + kc) - 1.0) / kc
    return total * (share * monomer_per_mol_cm(NM) + (1.0 - share) * dimerised_per_mol_cm(NM))


def seen_umol_l(role: str, hours: float) -> float:
    """Return free cargo beyond the membrane: one rate through it, or two one after the other."""
    k_m, k = MEMBRANE_PER_H, RATE_PER_H
    through = 1.0 - np.exp(-k_m * hours)
    behind = 1.0 - (k_m * np.exp(-k * hours) - k * np.exp(-k_m * hours)) / (k_m - k)
    first = through - k_m * (np.exp(-2.0 * hours) - np.exp(-k_m * hours)) / (k_m - 2.0)
    released = through if role == "free" else 0.12 * first + 0.76 * behind
    return float(LEVEL * CARGO_UMOL_L * released)


def start_of(name: str, role: str, references: Mapping[str, str], number: int, settings: list[str]) -> dict[str, Any]:
    """Return the start document of one run of a release assay on the simulated bench."""
    assay: Assay = load(PLANS, name)
    values = parse_settings(assay, settings)
    bench, sample = simulated_bench(getattr(assay, "roles", ())), example_sample()
    prediction = assay.forecast(Setup(bench, sample, values, "none", Path("runs"), True)).prediction
    sent = {"prediction": prediction, "prediction_sha256": digest(prediction)} if role == "sample" else {}
    return {
        "uid": f"{number:08d}-{name}",
        "time": BEGUN_S + number,
        "plan_name": "medium" if role == "reference" else name,
        "contents": "medium" if role == "reference" else "dialysis",
        "follows": "spectra",
        "assay": name,
        "role": role,
        "expected_s": 3600.0,
        "sample": {**sample.model_dump(mode="json"), "name": "liposomes"},
        "bench": bench.model_dump(mode="json"),
        "parameters": values,
        "simulated": True,
        "simulated_devices": ["spectrometer", "cuvette_holder"],
        "instruments": {"spectrometer": {"maker": "Ocean Insight", "model": "Flame-X", "serial": "F1"}},
        "references": dict(references),
        **sent,
    }


def write_course(
    root: Path,
    start: dict[str, Any],
    hours: Array,
    marks: Mapping[float, str],
    *,
    ended: bool = True,
    power_w: float = 0.0,
) -> Path:
    """Write one run: readings every minute and looks at `hours`, what was done at `marks` (h); without an end where it has none."""
    noise = np.random.default_rng(len(start["references"]))
    role, name = str(start["role"]), str(start["assay"])
    text = {"source": "synthetic", "dtype": "string", "shape": []}
    keys = {"cuvette_holder_probe": "degC", "cuvette_holder_stirring": "", "run_state_lab_time": "s"}
    keys |= {"ph_value": ""} if name == "release_ph" else {}
    keys |= {"laser_power": "W", "laser_emitting": ""} if name == "release_triggered" else {}
    counts = {"source": "synthetic", "dtype": "array", "shape": [PIXELS], "dtype_numpy": "<f8"}
    configured = {"spectrometer_wavelengths": NM, "spectrometer_full_scale": FULL_SCALE,
                  "spectrometer_integration_time": 0.02, "spectrometer_averages": 1}  # fmt: skip
    with RunWriter(root) as writer:
        writer("start", start)
        writer(*descriptor(start, "marks", {"mark_what": text, **numbers({"mark_value": "", "mark_lab_time": "s"})}))
        writer(*descriptor(start, "primary", {**numbers(keys), "run_state_phase": text}))
        spectra = {"spectrometer_counts": counts, **numbers({"run_state_lab_time": "s"}), "run_state_phase": text}
        writer(*descriptor(start, "spectra", spectra, {"spectrometer": {"data": configured}}))
        for number, (at_h, what) in enumerate({0.0: "begun", **marks}.items()):
            value = float(what.removeprefix("ph ")) if what.startswith("ph ") else 0.0
            mark = {"mark_what": what.split(" ")[0], "mark_value": value, "mark_lab_time": 3600.0 * at_h}
            writer(*event(start, "marks", number + 1, start["time"], mark))
        for number, lab_s in enumerate(np.linspace(0.0, 3600.0 * float(hours[-1]), 120).tolist()):
            on = power_w > 0.0 and 30 <= number < 60
            readings = {"cuvette_holder_probe": 37.0 + (4.0 if on else 0.0), "ph_value": 7.4 if number < 60 else 5.5,
                        "laser_power": power_w * on, "laser_emitting": int(on), "cuvette_holder_stirring": 800.0, "run_state_lab_time": lab_s}  # fmt: skip
            kept = {key: readings[key] for key in keys}
            writer(*event(start, "primary", number + 1, start["time"] + lab_s, {**kept, "run_state_phase": "course"}))
        for number, at_h in enumerate(hours.tolist()):
            free = 0.0 if role == "reference" else seen_umol_l(role, at_h)
            for phase, light in (("dark", 0.0), ("light", LAMP * 10.0 ** -absorbance(free))):
                taken = {"spectrometer_counts": 1500.0 + light + noise.normal(0.0, 4.0, PIXELS),
                         "run_state_phase": phase, "run_state_lab_time": 3600.0 * at_h}  # fmt: skip
                writer(
                    *event(start, "spectra", 2 * number + (phase == "light") + 1, start["time"] + 3600.0 * at_h, taken)
                )
        if ended:
            writer("stop", {"uid": "stop", "run_start": start["uid"], "time": start["time"] + 3600.0 * float(hours[-1]),
                            "exit_status": "success", "reason": "", "num_events": {}})  # fmt: skip
        return Path(str(writer.path))


def write_release(
    root: Path, name: str = "release", *, stored: bool = True, settings: tuple[str, ...] = (), **changed: Any
) -> Path:
    """Write medium, controls and sample under a data folder; return the sample's folder.

    `stored`: with a result. `changed`: entries of the sample's start document.
    """
    references: dict[str, str] = {}
    times = np.concatenate([[0.02, 0.05], np.geomspace(0.1, HOURS, 22)])
    path = root
    for number, role in enumerate(("reference", *CONTROLS[name], "sample")):
        start = start_of(name, role, references, number + 1, list(settings))
        references[role] = start["uid"]
        own = np.linspace(0.01, 0.05, 5) if role == "reference" else times
        if role == "sample":
            power_w = 0.4 if name == "release_triggered" else 0.0
            path = write_course(root, {**start, **changed}, own, DEEDS.get(name, {}), power_w=power_w)
        else:
            write_course(root, start, own, {})
    if stored:
        (path / "result.json").write_text(json.dumps(result_of(name, times)))
        (path / "figure.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>')
    return path


def result_of(name: str, times: Array) -> dict[str, Any]:
    """Return a stored result of the right form: what was expected, each quantity off by half of its uncertainty."""
    prediction = start_of(name, "sample", {}, 0, [])["prediction"]
    found: dict[str, Any] = {}
    for key, stored in prediction.items():
        if key != "curve":
            believed = Quantity.from_json(stored)
            u = believed.standard_uncertainty or 0.0
            found[key] = Quantity(believed.value + 0.5 * u, believed.unit, 0.2 * u).to_json()
    key = next(iter(found))
    percent = np.array([100.0 * seen_umol_l("sample", at) / CARGO_UMOL_L for at in times])
    curves = [
        {
            "label": label,
            "time_h": times.tolist(),
            "percent": (share * percent + 0.1).tolist(),
            "fitted": (share * percent).tolist(),
        }
        for label, share in (("control", 0.3), ("sample", 1.0))
    ]
    found |= {
        "budget": {key: {"chance": 0.7, "temperature": 0.299, "linearity": 0.001}},
        "curves": curves,
        "profile": {"time_h": times.tolist(), "percent": curves[-1]["percent"]},
        "temperature": Quantity(37.12, "degC", 0.04).to_json(),
        "residual_rms": Quantity(0.1, "%").to_json(),
        "photometry": {"integration_time_s": 0.02, "averages": 20, "assay_light_s": 19.2, "looks": times.size,
                       "lod": Quantity(0.0215, "umol/L").to_json(), "loq": None, "blanks": 4},
        "controls": {"free": {"equilibrium_percent": 91.0}, "dark": {"last_percent": 14.0}, "without_enzyme": {"last_percent": 33.0}},
        "gaps_h": [],
    }  # fmt: skip
    if name == "release":
        found["models"] = {"models": [_law("biphasic", 0.0, 0.6), _law("weibull", 1.4, 0.3), _law("first_order", 12.0, 0.001),
                                      {"name": "korsmeyer_peppas", "title": "Korsmeyer-Peppas", "ranked": False, "why": "not ranked"}],
                           "cannot_be_told_apart": ["biphasic", "weibull"]}  # fmt: skip
    if name == "release_ph":
        found["controls"] |= {"models": {"aicc_differences": {"switch": 2.0, "specific_acid": 0.0, "free": 9.0}},
                              "ph": [{"wanted": 5.5, "first": 5.51, "mean": 5.5, "last": 5.49}],
                              "optical_ph": OPTICAL_PH}  # fmt: skip
    if name == "encapsulation":
        found = {key: found[key], "loading_capacity": None, "photometry": found["photometry"],
                 "fillings": {"standard": [9.9, 10.1], "filtrate": [2.4, 2.5], "sample": [17.7, 17.8]}}  # fmt: skip
    return {"result": found, "verdict": {"quantity": key, "z": 0.5, "word": "agrees"},
            "cautions": [{"code": "gap", "text": "a caution"}]}  # fmt: skip


def _law(name: str, difference: float, weight: float) -> dict[str, Any]:
    parameter = {"name": "k1", "quantity": Quantity(0.5, "1/h", 0.01).to_json(), "identified": True, "why": None}
    return {"name": name, "title": name.replace("_", " "), "parameters": [parameter], "aicc_difference": difference,
            "weight": weight, "ranked": True, "why": None}  # fmt: skip
