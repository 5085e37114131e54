"""What pure water does to a laser beam."""

import numpy as np
import numpy.typing as npt

from nanolab.models.optical_constants import FloatArray, water_index

# Temperature slope of the absorption, 1/(cm K), at laser lines: R. Roettgers et al., Opt. Express 22, 25093
# (2014), 10.1364/OE.22.025093. The bands of water shift with temperature, so the slope changes sign between
# them.
_SLOPE_NM = np.array([532.0, 785.0, 808.0, 915.0, 940.0, 976.0, 980.0, 1064.0])
_SLOPE_PER_CM_K = np.array([6e-8, -4.9e-5, -3.4e-5, 1.1e-4, 1.2e-3, 1.9e-3, 1.5e-3, -4.6e-4])
REFERENCE_TEMPERATURE_C = 20.0


def water_absorption_per_cm(wavelength_nm: npt.ArrayLike, temperature_c: npt.ArrayLike = 20.0) -> FloatArray:
    """Return the Napierian absorption coefficient mu_w of pure water, 1/cm.

    Parameters
    ----------
    wavelength_nm : array_like
        Vacuum wavelength, 200 to 20000 nm (ValueError outside).
    temperature_c : array_like
        Temperature of the water, 0 to 100 degC, broadcast against the wavelengths.

    Returns
    -------
    array of the broadcast shape
        4 pi k/lambda (Segelstein 1981), plus slope x (T - 20 degC) between 532 and 1064 nm (Roettgers 2014,
        10.1364/OE.22.025093). The slope is known at 532, 785, 808, 915, 940, 976, 980 and 1064 nm and
        interpolated between, where it can be off by up to 0.4 % of the absorption per kelvin; outside it is
        taken as zero.
    """
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    temperature = np.asarray(temperature_c, dtype=np.float64)
    if not np.all((temperature >= 0.0) & (temperature <= 100.0)):
        raise ValueError("liquid water is wanted: the temperature must lie between 0 and 100 degC")
    absorption = 4.0e7 * np.pi * water_index(wavelength).imag / wavelength
    slope = np.interp(wavelength, _SLOPE_NM, _SLOPE_PER_CM_K, left=0.0, right=0.0)
    return np.asarray(absorption + slope * (temperature - REFERENCE_TEMPERATURE_C), dtype=np.float64)


def water_absorptance(
    wavelength_nm: npt.ArrayLike, path_cm: npt.ArrayLike, temperature_c: npt.ArrayLike = 20.0
) -> FloatArray:
    """Return the share of light that a path of pure water absorbs, 1 - exp(-mu_w L) (Beer-Lambert)."""
    return np.asarray(-np.expm1(-water_absorption_per_cm(wavelength_nm, temperature_c) * np.asarray(path_cm)))
