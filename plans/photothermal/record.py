"""From run folders to what the analysis takes: curve, incident power, absorbance, conditions of the blank."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.errors import FileInvalidError
from nanolab.quantities import Quantity
from plans.photothermal.curve import HeatingCurve

if TYPE_CHECKING:
    from nanolab.journal.reader import Run

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

METER_SETTLES_S = 8.0
"""Readings of the power meter this soon after switching on are left out of the mean power."""

CALIBRATION_UNCERTAINTY = 0.05
"""Relative standard uncertainty of the laser's own calibration where no meter reads the power at the sample."""

DRIFT_UNCERTAINTY = 0.01
"""Relative standard uncertainty added where the power was measured before the run and not during it."""


def curve_of(run: "Run") -> HeatingCurve:
    """Return the heating curve of a run; FileInvalidError where the run recorded no temperatures."""
    table = run.table("primary")
    if "thermocouple_sample" not in table:
        raise FileInvalidError(f"{run.path}: the run recorded no temperature of the sample")
    time = np.asarray(table["run_state_lab_time"], dtype=float)
    start = time[0]
    temperature = np.asarray(table["thermocouple_sample"], dtype=float)
    valid = np.asarray(table.get("thermocouple_sample_valid", np.ones(time.size)), dtype=float) > 0
    ambient = table.get("thermocouple_ambient")
    on = laser_on(table)
    power = _meter_at_sample(run, table)
    return HeatingCurve(
        time_s=time - start,
        temperature_c=temperature,
        laser_on=on,
        valid=valid & np.isfinite(temperature),
        ambient_c=None if ambient is None else np.asarray(ambient, dtype=float),
        power_w=power,
        name=str(run.start.get("sample", {}).get("sample", {}).get("name", run.uid[:8])),
        switches=switches_at_readings(time - start, on),
    )


def laser_on(table: Mapping[str, Any]) -> Mask:
    """Return the laser's read-back as a mask (n,)."""
    return np.asarray(table["laser_emitting"], dtype=float) > 0


def switches_at_readings(time_s: Array, on: Mask) -> tuple[tuple[float, bool], ...]:
    """Times of the switches: the plan switches the laser and reads at once, so the first reading tells."""
    edges = np.flatnonzero(np.diff(on.astype(int))) + 1
    found = [(float(time_s[index]), bool(on[index])) for index in edges]
    return tuple([(0.0, True), *found] if on[0] else found)


def meter_position(run: "Run") -> str | None:
    """Return where the power meter stood during a run, or None if there was none."""
    meter = run.start.get("bench", {}).get("powermeter")
    return None if meter is None else str(meter.get("position", "sample_plane"))


def _meter_ratio(run: "Run") -> float:
    """Power at the sample plane over meter reading, as the bench file says."""
    from nanolab.quantities import parse_quantity

    value = run.start.get("bench", {}).get("powermeter", {}).get("to_sample_plane", 1.0)
    return value["value"] if isinstance(value, Mapping) else parse_quantity(value, "1").value


def _meter_at_sample(run: "Run", table: Mapping[str, Any]) -> Array | None:
    """Incident power (n,) in W where the meter follows it during the run (a pick-off), else None."""
    if meter_position(run) != "pickoff" or "powermeter_power" not in table:
        return None
    return np.asarray(table["powermeter_power"], dtype=float) * _meter_ratio(run)


def _heating_readings(table: Mapping[str, Any], first_s: float = METER_SETTLES_S) -> Array:
    """Readings of the meter (m,) while the laser was on, past the head's settling, valid ones only."""
    time = np.asarray(table["run_state_lab_time"], dtype=float)
    power = np.asarray(table["powermeter_power"], dtype=float)
    on = laser_on(table)
    since = np.full(time.size, -np.inf)
    last = -np.inf
    for index in range(time.size):
        if on[index] and (index == 0 or not on[index - 1]):
            last = time[index]
        since[index] = time[index] - last if on[index] else -np.inf
    chosen: Array = power[(since > first_s) & np.isfinite(power)]
    return chosen


def incident_power(run: "Run", blank: "Run | None" = None) -> tuple[Quantity, str]:
    """Return the power before the window in W, and in words where it comes from.

    Its uncertainty is statistical only: the meter's gain is an input of its own, shared by sample and blank.
    With the meter behind the cuvette the solvent run tells the power (its ratio holds with the solvent cuvette in
    place); without a meter the laser's calibration does.
    """
    position = meter_position(run)
    if position == "pickoff":
        readings = _heating_readings(run.table("primary"))
        if readings.size:
            return _mean_power(readings * _meter_ratio(run), 0.0), "power meter on a pick-off, during the heating"
    if position == "sample_plane" and "power" in run.streams:
        readings = _heating_readings(run.table("power"))
        if readings.size:
            return _mean_power(
                readings * _meter_ratio(run), DRIFT_UNCERTAINTY
            ), "power meter at the sample plane, before"
    if position == "behind_cuvette" and blank is not None:
        readings = _heating_readings(blank.table("primary"))
        if readings.size:
            scale = _mean_set_power(run) / _mean_set_power(blank)
            power = _mean_power(readings * _meter_ratio(blank) * scale, DRIFT_UNCERTAINTY)
            return power, "power meter behind the solvent cuvette"
    value = _mean_set_power(run)
    return Quantity(value, "W", CALIBRATION_UNCERTAINTY * value), "calibration of the laser's current"


def _mean_power(readings: Array, relative: float) -> Quantity:
    mean = float(readings.mean())
    # power noise is correlated over minutes: a twentieth of the readings count as independent
    effective = max(readings.size / 20.0, 1.0)
    statistical = float(readings.std(ddof=1)) / np.sqrt(effective) if readings.size > 1 else 0.0
    return Quantity(mean, "W", float(np.hypot(statistical, relative * mean)))


def _mean_set_power(run: "Run") -> float:
    table = run.table("primary")
    return float(np.mean(np.asarray(table["laser_power"], dtype=float)[laser_on(table)]))


@dataclass(frozen=True)
class LiveAbsorbance:
    """Decadic absorbance at the true laser line from the meter behind the cuvette, sample against solvent."""

    value: Quantity
    first: float
    last: float


def live_absorbance(run: "Run", blank: "Run | None") -> LiveAbsorbance | None:
    """Return the absorbance that the meter behind the cuvette saw during the heating, or None.

    A = log10(P_solvent / P_sample), each over its own set power. The head's gain cancels.
    """
    if blank is None or meter_position(run) != "behind_cuvette" or meter_position(blank) != "behind_cuvette":
        return None
    solvent, sample = _heating_readings(blank.table("primary")), _heating_readings(run.table("primary"))
    sample = sample[sample > 0]
    if solvent.size < 10 or sample.size < 10:
        return None
    scale = _mean_set_power(run) / _mean_set_power(blank)
    values = np.log10(float(solvent.mean()) * scale / sample)
    relative = np.hypot(DRIFT_UNCERTAINTY, float(sample.std(ddof=1) / sample.mean()) / np.sqrt(sample.size / 20.0))
    third = max(1, values.size // 10)
    return LiveAbsorbance(
        Quantity(float(values.mean()), "1", float(relative / np.log(10.0))),
        float(values[:third].mean()),
        float(values[-third:].mean()),
    )


def phases(run: "Run") -> Mapping[str, Mapping[str, Array]]:
    """Return the spectra of a run by phase: counts (k, n_pixels), times (k,), and noise (k, n_pixels) where known."""
    if "spectra" not in run.streams:
        return {}
    table = run.table("spectra")
    labels = np.asarray(table["run_state_phase"])
    found = {}
    for label in dict.fromkeys(labels.tolist()):
        chosen = labels == label
        found[str(label)] = {
            "counts": np.asarray(table["spectrometer_counts"], dtype=float)[chosen],
            "time": np.asarray(table["run_state_lab_time"], dtype=float)[chosen],
        }
        if "spectrometer_noise" in table:
            found[str(label)]["noise"] = np.asarray(table["spectrometer_noise"], dtype=float)[chosen]
    return found
