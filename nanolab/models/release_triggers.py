"""Release that something drives or holds up: a dialysis membrane, an enzyme, acid, warmth.

Times and rates as in `nanolab.models.release`; amounts in percent of the dose, temperatures in degC.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import exprel, wrightomega

from nanolab.models.release import biexponential, since_lag

Array = npt.NDArray[np.float64]


def bag_content(t: npt.ArrayLike, Fmax: float, k: float, km: float, t_lag: float = 0.0) -> Array:
    """Percent of the dose that is free inside a dialysis bag: dC/dt = r(t) - km C, first-order release r of rate k.

    With k = km there is no division by zero: both exponentials are taken together.
    """
    time = since_lag(t, t_lag)
    slow, apart = min(k, km), abs(km - k)
    return np.asarray(Fmax * k * time * np.exp(-slow * time) * exprel(-apart * time))


def membrane_limited(t: npt.ArrayLike, Fmax: float, k: float, km: float, t_lag: float = 0.0) -> Array:
    """Percent of the dose outside a dialysis bag of transfer rate km, after first-order release of rate k.

    k and km may be exchanged without any change of the curve: km must come from a run with free drug.
    """
    time = since_lag(t, t_lag)
    return np.asarray(-Fmax * np.expm1(-k * time) - bag_content(t, Fmax, k, km, t_lag))


def substrate_left(t: npt.ArrayLike, v: float, kappa: float, loss: float = 0.0, t_lag: float = 0.0) -> Array:
    """Share of an enzyme's substrate that is left: the integrated Michaelis-Menten equation.

    s = kappa W{(1/kappa) exp[(1 - v t)/kappa]}, with W Lambert's function (S. Schnell & C. Mendoza, J. Theor. Biol.
    187, 207 (1997), 10.1006/jtbi.1997.0425). It is evaluated as Wright's omega, W(exp z) = omega(z), which does not
    overflow at small kappa.

    Parameters
    ----------
    v : float
        Highest rate over the starting concentration, kcat E / S0, per time.
    kappa : float
        KM / S0.
    loss : float
        First-order loss of the enzyme, per time.
    """
    time = since_lag(t, t_lag)
    turned = v * time * exprel(-loss * time)
    return np.asarray(kappa * np.real(wrightomega((1.0 - turned) / kappa - np.log(kappa))))


def enzyme_release(
    t: npt.ArrayLike, Fmax: float, v: float, kappa: float, loss: float = 0.0, t_lag: float = 0.0
) -> Array:
    """F = Fmax (1 - s) with s the substrate left, `substrate_left`."""
    return np.asarray(Fmax * (1.0 - substrate_left(t, v, kappa, loss, t_lag)))


def burst_share(temperature_c: npt.ArrayLike, Tm: float = 41.0, width: float = 0.4) -> Array:
    """Share of the cargo that leaves in the burst of a thermosensitive carrier: logistic around Tm, both in degC."""
    return np.asarray(1.0 / (1.0 + np.exp(-(np.asarray(temperature_c, dtype=np.float64) - Tm) / width)))


def thermosensitive(
    t: npt.ArrayLike,
    temperature_c: float,
    Fmax: float,
    k1: float,
    k2: float,
    Tm: float = 41.0,
    width: float = 0.4,
    t_lag: float = 0.0,
) -> Array:
    """Release at constant temperature: two exponentials, the fast one's share logistic in temperature.

    F = Fmax [phi (1 - exp(-k1 t)) + (1 - phi) (1 - exp(-k2 t))], phi = `burst_share`.
    """
    share = float(burst_share(temperature_c, Tm, width))
    return biexponential(t, Fmax * share, k1, Fmax * (1.0 - share), k2, t_lag)


def acid_rate(pH: npt.ArrayLike, k_neutral: float, k_acid: float) -> Array:
    """Rate of an acid-labile bond: k_neutral + k_acid 10^-pH (specific acid); k_acid per molar and time."""
    return np.asarray(k_neutral + k_acid * 10.0 ** -np.asarray(pH, dtype=np.float64))


def switched_rate(pH: npt.ArrayLike, k_low: float, k_high: float, pKa: float, m: float = 1.0) -> Array:
    """Rate of a carrier that protonates: k_low at high pH, k_high at low pH, steepness m (1 to 4) around pKa."""
    steep = 10.0 ** (m * (np.asarray(pH, dtype=np.float64) - pKa))
    return np.asarray(k_low + (k_high - k_low) / (1.0 + steep))


def bleached(signal: npt.ArrayLike, t: npt.ArrayLike, b: float) -> Array:
    """Fluorescence that a lamp bleaches: signal (1 - b t); b per time, small."""
    return np.asarray(np.asarray(signal, dtype=np.float64) * (1.0 - b * np.asarray(t, dtype=np.float64)))
