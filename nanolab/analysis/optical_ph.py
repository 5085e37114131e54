"""pH from the spectrum of an indicator: acid and base form fitted at once, with the wavelength scale free.

A(lambda) = a A_acid(m lambda + c) + b A_base(m lambda + c) + B0, pH = pK + log10(b / a), the forms given as molar
absorption on a common scale. A shift or stretch of the spectrometer's wavelengths must be fitted, or the pH is biased;
what it comes out as is a check of the spectrometer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from scipy.optimize import least_squares

from nanolab.analysis.curve_fits import residual_memory
from nanolab.quantities import Quantity

Array = npt.NDArray[np.float64]

ZERO_C_IN_K = 273.15
LARGEST_SHIFT_NM, LARGEST_STRETCH = 10.0, 0.02
_PIVOT_NM = 550.0


def m_cresol_purple_pk(temperature_c: float, salinity: float = 35.0) -> float:
    """PK of m-cresol purple in seawater, total scale: 1245.69/T + 3.8275 + 0.00211 (35 - S); T in degC, S practical."""
    return float(1245.69 / (temperature_c + ZERO_C_IN_K) + 3.8275 + 0.00211 * (35.0 - salinity))


@dataclass(frozen=True)
class OpticalPh:
    """pH with its uncertainty; ``shift_nm`` c and ``stretch`` m of the wavelength scale; residual rms in absorbance."""

    ph: Quantity
    acid: float
    base: float
    offset: float
    shift_nm: float
    stretch: float
    residual_rms: float
    residuals: Array


def fit_ph(
    wavelength_nm: npt.ArrayLike,
    absorbance: npt.ArrayLike,
    form_wavelength_nm: npt.ArrayLike,
    acid_form: npt.ArrayLike,
    base_form: npt.ArrayLike,
    pk: float,
) -> OpticalPh:
    """Fit a spectrum (n,) with the two forms of an indicator, tabulated at (m,) increasing wavelengths.

    Pixels whose shifted wavelength could leave the table are not used. ValueError where fewer than twenty remain, or
    one of the forms is not seen: the pH is then out of the indicator's range.
    """
    wavelength, values = np.asarray(wavelength_nm, dtype=np.float64), np.asarray(absorbance, dtype=np.float64)
    table = np.asarray(form_wavelength_nm, dtype=np.float64)
    forms = CubicSpline(table, np.column_stack([np.asarray(acid_form, float), np.asarray(base_form, float)]))
    inside = (wavelength > table[0] + LARGEST_SHIFT_NM) & (wavelength < table[-1] - LARGEST_SHIFT_NM)
    good = inside & np.isfinite(values)
    if np.count_nonzero(good) < 20:
        raise ValueError(f"{np.count_nonzero(good)} pixels lie within the indicator's table; at least 20 are needed")
    x, y = wavelength[good], values[good]

    def columns(scale: Array) -> Array:
        # shift in nm at the middle of the visible, stretch about it: the two hardly depend on each other
        moved = x + scale[0] + 1e-3 * scale[1] * (x - _PIVOT_NM)
        return np.column_stack([forms(moved), np.ones_like(x)])

    def left(scale: Array) -> Array:
        matrix = columns(scale)
        return np.asarray(matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0] - y)

    reach = np.array([0.5 * LARGEST_SHIFT_NM, 1e3 * LARGEST_STRETCH])
    found = least_squares(left, np.zeros(2), bounds=(-reach, reach), xtol=1e-12, ftol=1e-12)
    matrix = columns(found.x)
    acid, base, offset = np.linalg.lstsq(matrix, y, rcond=None)[0]
    if acid <= 0 or base <= 0:
        raise ValueError("one form of the indicator is not seen: the pH lies outside its range")
    residuals = left(found.x)
    u = _uncertainty(columns, found.x, np.array([acid, base, offset]), residuals)
    stretch = 1.0 + 1e-3 * float(found.x[1])
    full = np.full(values.shape, np.nan)
    full[good] = -residuals
    return OpticalPh(
        Quantity(pk + float(np.log10(base / acid)), "1", u), float(acid), float(base), float(offset),
        float(found.x[0]) - 1e-3 * float(found.x[1]) * _PIVOT_NM, stretch,
        float(np.sqrt(np.mean(residuals**2))), full,
    )  # fmt: skip


def _uncertainty(columns: Callable[[Array], Array], scale: Array, linear: Array, residuals: Array) -> float:
    """Standard uncertainty of log10(b/a), the wavelength scale and the memory of the residuals included."""
    slopes = []
    for index in range(scale.size):
        step = np.zeros(scale.size)
        step[index] = 1e-3
        slopes.append((columns(scale + step) - columns(scale - step)) @ linear / 2e-3)
    jacobian = np.column_stack([columns(scale), *slopes])
    size = np.linalg.norm(jacobian, axis=0)
    inverse = np.linalg.pinv(jacobian / size)
    memory = residual_memory(residuals)
    variance = float(np.sum(residuals**2)) / (residuals.size - size.size) * (1.0 + memory) / (1.0 - memory)
    covariance = variance * inverse @ inverse.T / np.outer(size, size)
    gradient = np.array([-1.0 / linear[0], 1.0 / linear[1]]) / np.log(10.0)
    return float(np.sqrt(gradient @ covariance[:2, :2] @ gradient))
