"""Release laws: percent of a cargo that has left its carrier, against time.

Every law takes times of any shape in any one unit, rates in the inverse of it, and returns percent of the dose (0 to
100) of the same shape; before ``t_lag`` nothing is released. The classic set is that of P. Costa and J. M. Sousa
Lobo, Eur. J. Pharm. Sci. 13, 123 (2001), 10.1016/S0928-0987(01)00095-1. Laws in which a trigger takes part
(membrane, enzyme, acid, temperature) are in `nanolab.models.release_triggers`.

Symbols: ``t`` time, ``k`` rate, ``Fmax`` plateau in percent, ``t_lag`` time before anything leaves.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

KORSMEYER_PEPPAS_HIGHEST = 60.0
"""Percent up to which the power law may be fitted: it is the early part of diffusion out of a body."""

SLAB, CYLINDER, SPHERE = 1, 2, 3
"""Shapes of an eroding body, as the exponent of Hopfenberg's law."""


def since_lag(t: npt.ArrayLike, t_lag: float) -> Array:
    """Return the time since the lag ended, zero before."""
    return np.asarray(np.maximum(np.asarray(t, dtype=np.float64) - t_lag, 0.0))


def zero_order(t: npt.ArrayLike, k0: float, F0: float = 0.0, t_lag: float = 0.0) -> Array:
    """F = F0 + k0 t; k0 in percent per time, F0 in percent is released at once."""
    return np.asarray(F0 + k0 * since_lag(t, t_lag))


def first_order(t: npt.ArrayLike, Fmax: float, k: float, t_lag: float = 0.0) -> Array:
    """F = Fmax (1 - exp(-k t))."""
    return np.asarray(-Fmax * np.expm1(-k * since_lag(t, t_lag)))


def higuchi(t: npt.ArrayLike, kH: float, t_lag: float = 0.0) -> Array:
    """F = kH sqrt(t): diffusion out of a planar matrix, F up to 60 %; kH in percent per root time."""
    return np.asarray(kH * np.sqrt(since_lag(t, t_lag)))


def korsmeyer_peppas(t: npt.ArrayLike, k: float, n: float, t_lag: float = 0.0) -> Array:
    """F = k t^n, the early part of a release only: fit it to points up to 60 % (`KORSMEYER_PEPPAS_HIGHEST`)."""
    return np.asarray(k * since_lag(t, t_lag) ** n)


def hopfenberg(t: npt.ArrayLike, k: float, n: int, t_lag: float = 0.0) -> Array:
    """F = 100 [1 - (1 - k t)^n] until k t = 1; n = 1 slab, 2 cylinder, 3 sphere.

    ValueError for any other n: fitted freely it runs away and the law becomes the first-order one.
    """
    if n not in {SLAB, CYLINDER, SPHERE}:
        raise ValueError(f"Hopfenberg's exponent is 1 (slab), 2 (cylinder) or 3 (sphere) and is not fitted, not {n:g}")
    left = np.maximum(1.0 - k * since_lag(t, t_lag), 0.0)
    return np.asarray(100.0 * (1.0 - left**n))


def hixson_crowell(t: npt.ArrayLike, k: float, t_lag: float = 0.0) -> Array:
    """F = 100 [1 - (1 - k t)^3] until k t = 1: particles that dissolve and keep their shape."""
    return hopfenberg(t, k, SPHERE, t_lag)


def peppas_sahlin(t: npt.ArrayLike, k1: float, k2: float, m: float = 0.43, t_lag: float = 0.0) -> Array:
    """F = k1 t^m + k2 t^(2m): diffusion and relaxation; m is set by the shape (0.43 sphere, 0.45 cylinder, 0.5 film)."""
    spread = since_lag(t, t_lag) ** m
    return np.asarray(k1 * spread + k2 * spread**2)


def baker_lonsdale(t: npt.ArrayLike, k: float, t_lag: float = 0.0) -> Array:
    """Solution of 1.5 [1 - (1 - f)^(2/3)] - f = k t, F = 100 f: diffusion out of a spherical matrix.

    With x = (1 - f)^(1/3) this is a cubic whose root between 1 and 0 is trigonometric; complete at k t = 1/2.
    """
    done = np.clip(k * since_lag(t, t_lag), 0.0, 0.5)
    x = 0.5 + np.cos(np.pi / 3.0 + 2.0 / 3.0 * np.arcsin(np.sqrt(2.0 * done)))
    return np.asarray(100.0 * (1.0 - x**3))


def weibull(t: npt.ArrayLike, Fmax: float, td: float, b: float, t_lag: float = 0.0) -> Array:
    """F = Fmax {1 - exp[-(t/td)^b]}; td is the time of 63 % of the plateau.

    Other programs write exp(-t^b / a): see `weibull_a`.
    """
    return np.asarray(-Fmax * np.expm1(-((since_lag(t, t_lag) / td) ** b)))


def weibull_a(td: float, b: float) -> float:
    """Scale a = td^b of the other notation of Weibull's law, exp(-t^b / a); unit time^b."""
    return float(td**b)


def gompertz(t: npt.ArrayLike, a: float, b: float, t_lag: float = 0.0) -> Array:
    """F = 100 exp(-a exp(-b log10 t)); the form in log10 t, not the one in t; a depends on the unit of time."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(100.0 * np.exp(-a * np.exp(-b * np.log10(since_lag(t, t_lag)))))


def reciprocal(t: npt.ArrayLike, Fmax: float, k: float, t_lag: float = 0.0) -> Array:
    """F = Fmax k t / (1 + k t), the hyperbola also called second order."""
    scaled = k * since_lag(t, t_lag)
    return np.asarray(Fmax * scaled / (1.0 + scaled))


def biphasic(t: npt.ArrayLike, A: float, k1: float, Fmax: float, k2: float, t_lag: float = 0.0) -> Array:
    """F = A (1 - exp(-k1 t)) + (Fmax - A) (1 - exp(-k2 t)); A in percent is the burst."""
    return biexponential(t, A, k1, Fmax - A, k2, t_lag)


def biexponential(t: npt.ArrayLike, A1: float, k1: float, A2: float, k2: float, t_lag: float = 0.0) -> Array:
    """F = A1 (1 - exp(-k1 t)) + A2 (1 - exp(-k2 t)); A1 and A2 in percent."""
    return first_order(t, A1, k1, t_lag) + first_order(t, A2, k2, t_lag)
