"""From a table to a heating curve, and what a log by itself shows to be wrong."""

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.tables import CurveTable
from nanolab.errors import FileInvalidError, UsageError
from nanolab.quantities import Quantity
from plans.photothermal.curve import HeatingCurve

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FEWEST_READINGS_OF_A_HEATING = 10
FALLS_AFTER_OFF = 0.2
NEAR_THE_TOP = 0.98
HOT_START_SHARE = 0.1
HOT_START_K = 0.5
DRIFT_K = 0.3
BOILING_C = 100.0


def heating_curve(
    table: CurveTable,
    on_s: float | None,
    off_s: float | None,
    watts_per_duty: tuple[float, float] | None,
    cautions: Cautions,
    default_on_s: float | None = None,
    default_off_s: float | None = None,
) -> HeatingCurve:
    """Return the curve of a table.

    Parameters
    ----------
    table : CurveTable
        As read.
    on_s, off_s : float, optional
        When the laser went on and off; they override the file.
    watts_per_duty : (slope, offset), optional
        Makes incident power (W) of a duty column.
    cautions : Cautions
        What is assumed is added here.
    default_on_s, default_off_s : float, optional
        Used only where the file does not say.

    Raises
    ------
    UsageError
        The laser's times lie outside the file, or a duty is asked for that it does not have.
    """
    on, switches = _laser(table, on_s, off_s, default_on_s, default_off_s, cautions)
    last = _end_before_restart(table.time_s, on, cautions)
    keep = slice(0, last)
    values = table.delta_k if table.delta_k is not None else table.temperature_c
    if values is None:
        raise FileInvalidError(f"{table.path}: the file holds no temperature")
    power = _power(table, watts_per_duty)
    ambient = table.extra.get("ambient_c")
    return HeatingCurve(
        time_s=table.time_s[keep],
        temperature_c=values[keep],
        laser_on=on[keep],
        valid=table.valid[keep],
        # a difference is taken against the surroundings already
        ambient_c=None if ambient is None or table.delta_k is not None else ambient[keep],
        power_w=None if power is None else power[keep],
        name=table.label,
        delta=table.delta_k is not None,
        switches=switches,
    )


def _laser(
    table: CurveTable,
    on_s: float | None,
    off_s: float | None,
    default_on_s: float | None,
    default_off_s: float | None,
    cautions: Cautions,
) -> tuple[Mask, tuple[tuple[float, bool], ...] | None]:
    time = table.time_s
    if table.laser_on is None and off_s is None and on_s is None:
        on_s, off_s = default_on_s, default_off_s
    if table.laser_on is not None and on_s is None and off_s is None:
        return table.laser_on, None
    begin = on_s if on_s is not None else _begin(table, cautions)
    end = off_s if off_s is not None else _end(table, begin, cautions)
    _check_times(table, begin, end)
    switches: tuple[tuple[float, bool], ...] = ((begin, True),)
    if end is not None:
        switches = (*switches, (end, False))
    on = (time >= begin) & (time < (np.inf if end is None else end))
    return np.asarray(on), switches


def _check_times(table: CurveTable, begin: float, end: float | None) -> None:
    first, last = float(table.time_s[0]), float(table.time_s[-1])
    if end is not None and end <= begin:
        raise UsageError(f"--laser-off-s {end:g}: the laser cannot go off before it went on at {begin:g} s")
    if begin >= last or (end is not None and end <= first):
        what = f"--laser-on-s {begin:g}" if begin >= last else f"--laser-off-s {end:g}"
        raise UsageError(f"{what}: {table.path} holds the time from {first:g} to {last:g} s only")


def _begin(table: CurveTable, cautions: Cautions) -> float:
    """Return when the laser went on: by the file, else at zero, else at the first reading."""
    time = table.time_s
    first, span = float(time[0]), float(time[-1] - time[0])
    if table.laser_on is not None and table.laser_on.any() and not table.laser_on[0]:
        edge = int(np.flatnonzero(table.laser_on)[0])
        return 0.5 * float(time[edge - 1] + time[edge])
    begin = 0.0 if 0.0 <= first <= 0.2 * span else first
    if table.laser_on is None:
        cautions.add("laser_on_assumed", f"when the laser went on was not stated: {begin:g} s is assumed")
    return begin


def _end(table: CurveTable, begin: float, cautions: Cautions) -> float | None:
    """Return when the laser went off: by the file, else where the curve begins to fall, if it does."""
    time = table.time_s
    if table.laser_on is not None:
        after = np.flatnonzero((time > begin) & ~table.laser_on)
        lit = np.flatnonzero(table.laser_on)
        after = after[after > lit[0]] if lit.size else after
        return None if after.size == 0 else 0.5 * float(time[after[0] - 1] + time[after[0]])
    values = table.delta_k if table.delta_k is not None else table.temperature_c
    smooth = _smooth(np.asarray(values)[table.valid])
    rise = float(np.max(smooth) - smooth[0])
    # on a plateau the highest reading is anywhere: the last one near the top is where the fall begins
    last = int(np.flatnonzero(smooth >= smooth[0] + NEAR_THE_TOP * rise)[-1])
    if rise > 0 and smooth[last] - smooth[-1] > FALLS_AFTER_OFF * rise:
        end = float(time[table.valid][last])
        text = f"when the laser went off was not stated: {end:g} s, where the curve begins to fall, is assumed"
        cautions.add("laser_off_assumed", text)
        return end
    text = "when the laser went off was not stated, and the curve does not fall: it is taken to be on to the end"
    cautions.add("laser_off_assumed", text)
    return None


def _smooth(values: Array) -> Array:
    width = min(5, values.size)
    kernel = np.ones(width)
    return np.asarray(np.convolve(values, kernel, "same") / np.convolve(np.ones(values.size), kernel, "same"))


def _end_before_restart(time_s: Array, on: Mask, cautions: Cautions) -> int:
    """Return how many readings count: a log may end just after the laser went on again."""
    starts = np.flatnonzero(np.diff(on.astype(int)) > 0) + 1
    if not on[-1] or starts.size == 0 or not on[: starts[-1]].any():
        return int(time_s.size)
    last = int(starts[-1])
    left = time_s.size - last
    if left >= FEWEST_READINGS_OF_A_HEATING:
        return int(time_s.size)
    text = f"the laser goes on again at {time_s[last]:g} s, {left} readings before the log ends"
    cautions.add("restart_left_out", f"{text}: they were left out")
    return last


def _power(table: CurveTable, watts_per_duty: tuple[float, float] | None) -> Array | None:
    if watts_per_duty is None:
        power = table.extra.get("power_w")
        return None if power is None else np.asarray(power)
    if "duty" not in table.extra:
        raise UsageError(f"--watts-per-duty: {table.path} has no duty column; say which with --map duty=COLUMN")
    slope, offset = watts_per_duty
    duty = table.extra["duty"]
    power = np.where(duty > 0, np.maximum(slope * duty + offset, 0.0), 0.0)
    if not np.any(power > 0):
        raise UsageError(f"--watts-per-duty: the duties of {table.path} give no power above zero")
    return np.asarray(power)


def base_of(curve: HeatingCurve, ambient_c: Quantity | None) -> float | None:
    """Return the temperature before heating: baseline, else zero of a difference, else the stated ambient."""
    before = curve.usable & (curve.time_s < curve.on_periods()[0][0])
    if np.count_nonzero(before) >= 3:
        return float(np.mean(curve.temperature_c[before]))
    if curve.delta:
        return 0.0
    return None if ambient_c is None else ambient_c.value


def signs_of_file(curve: HeatingCurve, base: float | None, cautions: Cautions) -> bool:
    """Add what a log shows to be wrong; returns False where there is no heating to analyse."""
    good = curve.usable
    time, values = curve.time_s[good], curve.temperature_c[good]
    on, off = curve.on_periods()[0]
    hot = (time > on) & (time <= off)
    if np.count_nonzero(hot) < FEWEST_READINGS_OF_A_HEATING:
        count = int(np.count_nonzero(hot))
        cautions.add(
            "heating_too_short",
            f"only {count} valid readings with the laser on: nothing is fitted",
            "efficiency",
        )
        return False
    noise = 1.4826 * float(np.median(np.abs(np.diff(values)))) / np.sqrt(2.0)
    end = float(np.mean(values[hot][-max(3, int(np.count_nonzero(hot)) // 20) :]))
    if base is None:
        base = float(np.min(values))
        cautions.add(
            "no_baseline",
            "no reading before the laser, no difference, no temperature of the surroundings (--ambient-c): "
            "the level from which the sample rises is a guess of the fit",
        )
    rise = end - base
    _baseline(time, values, on, off, rise, noise, cautions)
    if not curve.delta and float(np.max(values)) >= BOILING_C:
        cautions.add("boiling", f"readings reach {np.max(values):.0f} °C: water boils, and what is left may be dry")
    if rise < max(5.0 * noise, 0.3):
        text = f"the temperature changes by {rise:.2f} K with the laser on, between readings by {noise:.2f} K"
        cautions.add("no_rise", f"{text}: there is no heating to analyse", "efficiency")
        return False
    return True


def _baseline(time: Array, values: Array, on: float, off: float, rise: float, noise: float, cautions: Cautions) -> None:
    before = time < on
    if np.count_nonzero(before) >= 5:
        slope = float(np.polyfit(time[before], values[before], 1)[0])
        drift = slope * (float(time[before][-1]) - float(time[before][0]))
        scatter = max(noise, 0.02) * np.sqrt(12.0 / np.count_nonzero(before))
        if abs(drift) > max(DRIFT_K, 3.0 * scatter, 0.02 * abs(rise)):
            text = f"the baseline drifts by {drift:+.2f} K in {np.ptp(time[before]):.0f} s: it had not settled"
            cautions.add("baseline_drift", text)
    tail = time > max(off, float(time[-1]) - 0.1 * float(np.ptp(time)))
    if np.count_nonzero(tail) < 5 or not before.any():
        return
    above = float(np.mean(values[before])) - float(np.mean(values[tail]))
    if above > max(HOT_START_K, HOT_START_SHARE * abs(rise)):
        text = f"the log begins {above:.1f} K above where its cooling ends"
        cautions.add("begins_hot", f"{text}: the sample was still warm, or the room cooled")
