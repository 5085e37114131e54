"""A heating and cooling curve as measured, and the even grid on which it is analysed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from nanolab.errors import FileInvalidError
from nanolab.models.heat import cell_means, mode_response, switched_input

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LARGEST_GRID = 12000
WANTED_BINS = 600
FEWEST_POINTS = 12
METER_SETTLES_S = 8.0
"""A thermopile head follows a switch with a time constant of one or two seconds."""


@dataclass(frozen=True)
class HeatingCurve:
    """One run: temperatures against time, laser on and off, any number of cycles.

    Parameters
    ----------
    time_s : (n,)
        Lab time in s, strictly increasing.
    temperature_c : (n,)
        degC, or K where `delta` (already a difference from the start).
    laser_on, valid : (n,) bool
        Whether the laser was on at the reading, and whether the reading counts.
    ambient_c : (n,) or None
        Ambient temperature in degC.
    power_w : (n,) or None
        Incident power in W as measured during the run, at the sample plane; its shape is used.
    switches : tuple of (time in s, on), or None
        When the laser was switched, where that is known better than from `laser_on`.
    """

    time_s: Array
    temperature_c: Array
    laser_on: Mask
    valid: Mask
    ambient_c: Array | None = None
    power_w: Array | None = None
    name: str = ""
    delta: bool = False
    switches: tuple[tuple[float, bool], ...] | None = None

    def __post_init__(self) -> None:
        where = f"curve '{self.name}'" if self.name else "the curve"
        n = self.time_s.size
        for what, values in (("temperature", self.temperature_c), ("laser", self.laser_on), ("valid", self.valid)):
            if values.shape != (n,):
                raise FileInvalidError(f"{where}: {n} times but {values.size} values of '{what}'")
        if n and not np.all(np.isfinite(self.time_s)):
            raise FileInvalidError(f"{where}: row {int(np.flatnonzero(~np.isfinite(self.time_s))[0]) + 1} has no time")
        steps = np.flatnonzero(np.diff(self.time_s) <= 0)
        if steps.size:
            row = int(steps[0]) + 2
            raise FileInvalidError(
                f"{where}: time does not increase at row {row} ({self.time_s[row - 1]:g} s after {self.time_s[row - 2]:g} s)"
            )
        good = self.valid & np.isfinite(self.temperature_c)
        if np.count_nonzero(good) < FEWEST_POINTS:
            raise FileInvalidError(
                f"{where}: only {np.count_nonzero(good)} valid readings, at least {FEWEST_POINTS} are needed"
            )
        if not self.laser_on.any() and not any(on for _, on in self.switches or ()):
            raise FileInvalidError(
                f"{where}: the laser is never on; say when it was (laser_on column, or laser off time)"
            )

    @property
    def usable(self) -> Mask:
        """Readings (n,) that count: declared valid and finite."""
        return np.asarray(self.valid & np.isfinite(self.temperature_c), dtype=bool)

    def switch_times(self) -> tuple[tuple[float, bool], ...]:
        """Return (time in s, on) of every switch, halfway between the readings where nothing better is known.

        A curve that begins with the laser on is taken to have been switched on at zero where zero lies
        before its first reading by at most a fifth of its length, else at its first reading.
        """
        if self.switches is not None:
            return self.switches
        found: list[tuple[float, bool]] = []
        if self.laser_on[0]:
            start, span = float(self.time_s[0]), float(self.time_s[-1] - self.time_s[0])
            found.append((0.0 if 0.0 <= start <= 0.2 * span else start, True))
        for index in np.flatnonzero(np.diff(self.laser_on.astype(int))):
            middle = 0.5 * float(self.time_s[index] + self.time_s[index + 1])
            found.append((middle, bool(self.laser_on[index + 1])))
        return tuple(found)

    def on_periods(self) -> tuple[tuple[float, float], ...]:
        """Return (on, off) times in s of every heating; the last ends with the curve where nothing ended it."""
        periods: list[tuple[float, float]] = []
        begun: float | None = None
        for time, on in self.switch_times():
            if on and begun is None:
                begun = time
            elif not on and begun is not None:
                periods.append((begun, time))
                begun = None
        if begun is not None:
            periods.append((begun, float(self.time_s[-1])))
        return tuple(periods)


@dataclass(frozen=True)
class Prepared:
    """A curve on two grids: an even fine grid on which modes are driven, and even bins in which data are compared.

    ``grid_s`` (g,) from the first switch or reading on; ``drive`` (g - 1,) mean input per cell, 1 at the reference
    power; ``bin_s`` (b,) centres, ``data`` (b,) means of the readings, ``present`` (b,), ``counts`` (b,);
    ``periods`` (on, off) in s.
    """

    curve: HeatingCurve
    grid_s: Array
    drive: Array
    bin_s: Array
    bin_width_s: float
    data: Array
    present: Mask
    counts: Array
    periods: tuple[tuple[float, float], ...]
    reference_power_w: float | None
    levels: tuple[float, ...]

    @property
    def step_s(self) -> float:
        """Cell width of the fine grid, s."""
        return float(self.grid_s[1] - self.grid_s[0])

    def response(self, rate: float, drive: Array | None = None) -> Array:
        """Response (g,) on the fine grid of a mode of unit gain to the drive (or another input, (..., g - 1))."""
        return mode_response(self.drive if drive is None else drive, self.step_s, rate)

    def binned(self, values: Array) -> Array:
        """Means over the readings in each bin of functions on the fine grid, (k, g) or (g,) to (b, k) or (b,)."""
        return np.asarray(self._averaging @ values.T)

    @cached_property
    def _averaging(self) -> csr_matrix:
        """Matrix (b, g): interpolates the fine grid at the readings and averages them over each bin."""
        good = self.curve.usable
        position = (self.curve.time_s[good] - self.grid_s[0]) / self.step_s
        position = np.clip(position, 0.0, self.grid_s.size - 1.000001)
        left = position.astype(int)
        weight = position - left
        bins = np.repeat(np.arange(self.bin_s.size), self.counts.astype(int))
        share = 1.0 / self.counts[bins]
        entries = np.concatenate([(1.0 - weight) * share, weight * share])
        places = (np.concatenate([bins, bins]), np.concatenate([left, left + 1]))
        return csr_matrix((entries, places), shape=(self.bin_s.size, self.grid_s.size))

    @cached_property
    def _starts(self) -> npt.NDArray[np.intp]:
        return np.concatenate([[0], np.cumsum(self.counts[self.present])[:-1]]).astype(np.intp)

    @property
    def scatter_within(self) -> float:
        """Sum of squared deviations of the readings from the means of their bins, K2: what binning leaves out.

        Only noise is meant, so each bin's own linear trend is taken as that between its neighbours.
        """
        good = self.curve.usable
        middle = np.interp(self.curve.time_s[good], self.bin_s[self.present], self.data[self.present])
        deviations = self.curve.temperature_c[good] - middle
        per_bin = np.add.reduceat(deviations, self._starts) / self.counts[self.present]
        return float(np.sum(deviations**2) - np.sum(self.counts[self.present] * per_bin**2))

    def in_one_phase(self) -> Mask:
        """Mark the bins (b,) that hold no switch."""
        clear = np.ones(self.bin_s.size, dtype=bool)
        for period in self.periods:
            for edge in period:
                clear &= np.abs(self.bin_s - edge) > 0.5 * self.bin_width_s
        return clear


def prepare(curve: HeatingCurve, reference_power_w: float | None = None) -> Prepared:
    """Put a curve on its grids.

    Parameters
    ----------
    curve : HeatingCurve
        As measured.
    reference_power_w : float or None
        Incident power in W that the drive is 1 at: with it, the power channel is scaled so that its mean over the
        heatings is this power. Without, the mean of the channel itself (None where there is no channel).
    """
    good = curve.usable
    times = curve.time_s[good]
    periods = curve.on_periods()
    first = min(float(curve.time_s[0]), periods[0][0])
    last = float(curve.time_s[-1])
    cadence = float(np.median(np.diff(curve.time_s)))
    step = max(min(cadence, 1.0), (last - first) / LARGEST_GRID)
    grid = first + step * np.arange(int(np.ceil((last - first) / step)) + 2, dtype=float)
    drive, reference, levels = _drive(curve, grid, periods, reference_power_w)
    width = cadence * max(1, round((last - first) / WANTED_BINS / cadence))
    index = np.floor((times - curve.time_s[0]) / width + 1e-9).astype(int)
    bins = int(index[-1]) + 1
    counts = np.bincount(index, minlength=bins).astype(float)
    sums = np.bincount(index, weights=curve.temperature_c[good], minlength=bins)
    present = counts > 0
    data = np.where(present, sums / np.maximum(counts, 1.0), np.nan)
    centres = curve.time_s[0] + width * (np.arange(bins, dtype=float) + 0.5) - 0.5 * cadence
    return Prepared(curve, grid, drive, centres, width, data, present, counts, periods, reference, levels)


def _drive(
    curve: HeatingCurve, grid: Array, periods: tuple[tuple[float, float], ...], reference_power_w: float | None
) -> tuple[Array, float | None, tuple[float, ...]]:
    """Cell means of the input, the power that it is 1 at, and the mean level of each heating."""
    measured = None if curve.power_w is None else _measured_power(curve, periods)
    if measured is None:
        drive = np.zeros(grid.size - 1)
        for on, off in periods:
            drive += switched_input(grid, [(on, 1.0), (off, 0.0)])
        return drive, reference_power_w, (1.0,) * len(periods)
    times, powers, means, weights = measured
    mean = float(np.average(means, weights=weights))
    drive = np.zeros(grid.size - 1)
    middle = 0.5 * (grid[1:] + grid[:-1])
    for (on, off), time, power in zip(periods, times, powers, strict=True):
        drive += switched_input(grid, [(on, 1.0), (off, 0.0)]) * np.interp(middle, time, power) / mean
    levels = tuple(float(level / mean) for level in means)
    return drive, mean if reference_power_w is None else reference_power_w, levels


def _measured_power(
    curve: HeatingCurve, periods: tuple[tuple[float, float], ...]
) -> tuple[list[Array], list[Array], list[float], list[float]] | None:
    """Power readings of each heating, past the meter's own settling and lightly smoothed; None where one has none."""
    times, powers, means, weights = [], [], [], []
    channel = curve.power_w if curve.power_w is not None else np.full(curve.time_s.size, np.nan)
    dark = ~curve.laser_on & np.isfinite(channel)
    for on, off in periods:
        # what the head still gives off after a switch is not its zero
        dark &= (curve.time_s < on - METER_SETTLES_S) | (curve.time_s > off + 2.0 * METER_SETTLES_S)
    if np.count_nonzero(dark) >= 10:
        channel = channel - float(np.median(channel[dark]))
    for on, off in periods:
        inside = (curve.time_s > on + METER_SETTLES_S) & (curve.time_s < off) & np.isfinite(channel) & (channel > 0)
        if np.count_nonzero(inside) < 3:
            return None
        time, power = curve.time_s[inside], channel[inside]
        width = min(11, time.size)
        kernel = np.ones(width)
        smooth = np.convolve(power, kernel, "same") / np.convolve(np.ones(power.size), kernel, "same")
        times.append(time)
        powers.append(np.asarray(smooth))
        means.append(float(power.mean()))
        weights.append(off - on)
    return times, powers, means, weights


def background_inputs(prepared: Prepared) -> Array | None:
    """Ambient temperature (g - 1,) as cell means on the fine grid, from its mean; None without a usable channel."""
    curve = prepared.curve
    if curve.ambient_c is None:
        return None
    good = np.isfinite(curve.ambient_c)
    if np.count_nonzero(good) < 0.5 * curve.time_s.size:
        return None
    values = np.interp(prepared.grid_s, curve.time_s[good], curve.ambient_c[good])
    return cell_means(values - values[0])
