"""Encapsulation efficiency and loading with their uncertainties.

EE = (total - free)/total: both concentrations of cargo, in the same volume. LC = encapsulated cargo/(particles
including their cargo), by mass. The denominators differ between papers: these are meant here.
"""

from nanolab.quantities import Quantity


def encapsulation_efficiency(total: Quantity, free: Quantity) -> Quantity:
    """EE in percent from total and free cargo in one unit.

    u(EE) = sqrt(u_f^2 + (f/t)^2 u_t^2)/t for independent readings. ValueError where the total is not positive, units
    differ, or the free cargo is negative.
    """
    _check(total, free)
    share = free.value / total.value
    u_total, u_free = total.standard_uncertainty or 0.0, free.standard_uncertainty or 0.0
    u = (u_free**2 + share**2 * u_total**2) ** 0.5 / total.value
    known = total.standard_uncertainty is not None or free.standard_uncertainty is not None
    return Quantity(100.0 * (1.0 - share), "%", 100.0 * u if known else None)


def loading_capacity(total: Quantity, free: Quantity, particles: Quantity) -> Quantity:
    """LC in percent from total and free cargo and the mass of particles including their cargo, all in one unit.

    ValueError as for the efficiency, or where there is more cargo than particle.
    """
    _check(total, free)
    if particles.unit != total.unit or particles.value <= 0:
        raise ValueError(f"the particles' mass must be positive and in {total.unit}, not {particles}")
    inside = total.value - free.value
    if inside > particles.value:
        raise ValueError(f"{inside:g} {total.unit} of cargo cannot be in {particles.value:g} {total.unit} of particles")
    terms = [q.standard_uncertainty for q in (total, free, particles)]
    u_total, u_free, u_particles = (u or 0.0 for u in terms)
    u = ((u_total**2 + u_free**2) + (inside / particles.value * u_particles) ** 2) ** 0.5 / particles.value
    return Quantity(
        100.0 * inside / particles.value, "%", 100.0 * u if any(term is not None for term in terms) else None
    )


def _check(total: Quantity, free: Quantity) -> None:
    if total.unit != free.unit:
        raise ValueError(f"total in {total.unit} and free in {free.unit} cannot be compared")
    if total.value <= 0:
        raise ValueError(f"the total must be positive, not {total.value:g} {total.unit}")
    if free.value < 0:
        raise ValueError(f"the free cargo cannot be negative: {free.value:g} {free.unit}")
