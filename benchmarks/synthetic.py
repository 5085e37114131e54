"""Run folders made without a bench, in a moment: for the pages' tests and measurements, never for physics."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nanolab.assay import Assay, Setup, parse_settings
from nanolab.bench.defaults import example_sample, simulated_bench
from nanolab.discovery import PLANS, load
from nanolab.engine.session import digest
from nanolab.journal import RunWriter
from nanolab.journal.folder import DOCUMENTS, WRITER

PIXELS = 2048
FULL_SCALE = 65535.0
BASELINE_S, HEAT_S, COOL_S = 120.0, 600.0, 600.0
AMBIENT_C, RISE_K, TAU_S, POWER_W = 22.5, 15.0, 270.0, 0.5

METER_RATIO = 25.0
"""Power at the sample plane over the reading of the meter on its pick-off, as the example bench says."""

Document = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """What a synthetic run is like: rise in K, lab seconds between readings, spectra, how it ends (None: it does not)."""

    rise_k: float = RISE_K
    cadence_s: float = 2.0
    spectra: int = 4
    exit_status: str | None = "success"
    begun_s: float = 0.0
    seed: int = 0
    sample: str = "gold nanorods 808"
    result: float | None = None


def photothermal_start(recipe: Recipe) -> dict[str, Any]:
    """Return the start document of a photothermal run on the simulated bench, with its prediction."""
    assay: Assay = load(PLANS, "photothermal")
    values = parse_settings(assay, [f"heat_s={HEAT_S}", f"cool_s={COOL_S}", f"baseline_s={BASELINE_S}"])
    bench, sample = simulated_bench(), example_sample()
    setup = Setup(bench, sample, values, "none", Path("runs"), True)
    prediction = assay.forecast(setup).prediction
    named = {**sample.model_dump(mode="json"), "name": recipe.sample}
    named["sample"] = {**named["sample"], "name": recipe.sample}
    return {
        "uid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"nanolab {recipe.seed} {int(recipe.begun_s)}")),
        "time": recipe.begun_s or time.time(),
        "plan_name": "photothermal",
        "assay": "photothermal",
        "role": "sample",
        "expected_s": BASELINE_S + HEAT_S + COOL_S,
        "powers_w": [POWER_W],
        "sample": named,
        "bench": bench.model_dump(mode="json"),
        "parameters": values,
        "simulated": True,
        "simulated_devices": ["laser", "thermocouple", "spectrometer", "powermeter"],
        "instruments": {"laser": {"maker": "THORLABS", "model": "ITC4005", "serial": "M001", "firmware": "1.4"}},
        "prediction": prediction,
        "prediction_sha256": digest(prediction),
        "references": {},
    }


def numbers(names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return data keys by name from their units."""
    units = {name: {"units": unit} if unit else {} for name, unit in names.items()}
    return {name: {"source": "synthetic", "dtype": "number", "shape": [], **unit} for name, unit in units.items()}


def descriptor(start: Mapping[str, Any], name: str, keys: Mapping[str, Any], configuration: Any = None) -> Document:
    """Return a descriptor."""
    return "descriptor", {
        "uid": f"{start['uid']}-{name}",
        "run_start": start["uid"],
        "time": start["time"],
        "name": name,
        "data_keys": keys,
        "configuration": configuration or {},
        "object_keys": {},
        "hints": {},
    }


def event(start: Mapping[str, Any], name: str, number: int, wall_s: float, data: Mapping[str, Any]) -> Document:
    """Return an event; the devices' own times are lab time."""
    lab = data.get("run_state_lab_time", wall_s)
    return "event", {
        "uid": f"{name}-{number:030d}",
        "descriptor": f"{start['uid']}-{name}",
        "seq_num": number,
        "time": wall_s,
        "data": dict(data),
        "timestamps": dict.fromkeys(data, lab),
        "filled": {},
    }


PRIMARY = {
    "laser_power": "W", "laser_emitting": "", "laser_current": "A", "laser_valid": "", "thermocouple_sample": "degC",
    "thermocouple_sample_valid": "", "powermeter_power": "W", "powermeter_valid": "", "thermocouple_ambient": "degC", "run_state_cycle": "", "run_state_lab_time": "s",
}  # fmt: skip


def descriptors(start: Mapping[str, Any]) -> list[Document]:
    """Return the descriptors of `primary` and `spectra`."""
    text = {"source": "synthetic", "dtype": "string", "shape": []}
    primary = {**numbers(PRIMARY), "run_state_phase": text, "laser_reason": text, "powermeter_reason": text}
    counts = {"source": "synthetic", "dtype": "array", "shape": [PIXELS], "dtype_numpy": "<f8"}
    spectra = {
        "spectrometer_counts": counts,
        **numbers({"spectrometer_saturated": "", "run_state_lab_time": "s"}),
        "run_state_phase": text,
    }
    wavelengths = np.linspace(340.0, 1020.0, PIXELS)
    spectrometer = {"data": {"spectrometer_wavelengths": wavelengths, "spectrometer_full_scale": FULL_SCALE}}
    return [
        descriptor(start, "primary", primary),
        descriptor(start, "spectra", spectra, {"spectrometer": spectrometer}),
    ]


def phase_at(lab_s: float) -> str:
    """Return the phase of the run at a lab time in s."""
    if lab_s < BASELINE_S:
        return "baseline"
    return "heating" if lab_s < BASELINE_S + HEAT_S else "cooling"


def temperature_at(lab_s: float, rise_k: float) -> float:
    """Return degC of one thermal mass, heated once."""
    on, off = max(0.0, lab_s - BASELINE_S), max(0.0, lab_s - BASELINE_S - HEAT_S)
    return AMBIENT_C + rise_k * float(np.exp(-off / TAU_S) - np.exp(-on / TAU_S))


def reading(lab_s: float, recipe: Recipe, noise: np.random.Generator) -> dict[str, Any]:
    """Return the data of one event of `primary`."""
    phase = phase_at(lab_s)
    on = phase == "heating"
    return {
        "laser_power": POWER_W if on else 0.0, "laser_emitting": int(on), "laser_current": 0.84 if on else 0.0,
        "laser_valid": 1, "laser_reason": "",
        "thermocouple_sample": temperature_at(lab_s, recipe.rise_k) + float(noise.normal(0.0, 0.02)),
        "thermocouple_sample_valid": 1, "powermeter_power": POWER_W / METER_RATIO if on else 0.0, "powermeter_valid": 1,
        "powermeter_reason": "", "thermocouple_ambient": 22.4, "run_state_phase": phase, "run_state_cycle": 0,
        "run_state_lab_time": lab_s,
    }  # fmt: skip


def spectrum(lab_s: float, phase: str, noise: np.random.Generator) -> dict[str, Any]:
    """Return the data of one event of `spectra`: a lamp seen through a plasmon band, or darkness."""
    nm = np.linspace(340.0, 1020.0, PIXELS)
    lamp = 52000.0 * np.exp(-(((nm - 640.0) / 190.0) ** 2)) * 10.0 ** -(0.9 * np.exp(-(((nm - 808.0) / 60.0) ** 2)))
    counts = 1500.0 + (0.0 if phase == "dark" else lamp) + noise.normal(0.0, 25.0, PIXELS)
    return {
        "spectrometer_counts": counts,
        "spectrometer_saturated": 0,
        "run_state_phase": phase,
        "run_state_lab_time": lab_s,
    }


def documents(recipe: Recipe) -> Iterator[Document]:
    """Yield the documents of a whole run."""
    start = photothermal_start(recipe)
    noise = np.random.default_rng(recipe.seed)
    yield "start", start
    yield from descriptors(start)
    labs = np.arange(0.0, BASELINE_S + HEAT_S + COOL_S, recipe.cadence_s)
    takes = set(np.linspace(0, labs.size - 1, recipe.spectra).astype(int).tolist()) if recipe.spectra else set()
    taken = 0
    for index, lab in enumerate(labs.tolist()):
        wall = start["time"] + lab
        yield event(start, "primary", index + 1, wall, reading(lab, recipe, noise))
        if index in takes:
            taken += 1
            yield event(start, "spectra", taken, wall, spectrum(lab, "dark" if taken == 1 else "light_before", noise))
    if recipe.exit_status is not None:
        yield "stop", {"uid": "stop", "run_start": start["uid"], "time": start["time"] + labs[-1] + 1.0,
                       "exit_status": recipe.exit_status, "reason": "", "num_events": {}}  # fmt: skip


def write_run(root: Path, recipe: Recipe) -> Path:
    """Write a whole run under a data folder and return its folder; without an exit status it is an interrupted one."""
    with RunWriter(root) as writer:
        for name, doc in documents(recipe):
            writer(name, doc)
        path = Path(str(writer.path))
    if recipe.exit_status is None:
        (path / WRITER).unlink(missing_ok=True)
    if recipe.result is not None:
        write_result(path, recipe.result)
    return path


def cut_short(path: Path, lines: int) -> None:
    """Leave only the first lines of a run and half of the next: what a power cut leaves."""
    kept = (path / DOCUMENTS).read_bytes().splitlines(keepends=True)
    (path / DOCUMENTS).write_bytes(b"".join(kept[:lines]) + kept[lines][: len(kept[lines]) // 2])


def write_result(path: Path, efficiency: float) -> None:
    """Write a result of this efficiency, as the analysis would."""
    quantity = {"value": efficiency, "standard_uncertainty": 0.045, "unit": "1",
                "interval_95": [efficiency - 0.09, efficiency + 0.09]}  # fmt: skip
    verdict = {"quantity": "efficiency", "z": (efficiency - 0.75) / 0.075, "word": "agrees"}
    document = {"result": {"method": "balance", "efficiency": quantity}, "verdict": verdict, "cautions": []}
    (path / "result.json").write_text(json.dumps(document))
