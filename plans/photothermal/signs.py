"""Signs in the curves that an assumption of the balance does not hold: each both large and certain before it is named."""

from nanolab.analysis.cautions import Cautions, exceeds
from plans.photothermal.conditions import Conditions
from plans.photothermal.estimates import CurveEstimate

STEP_K = 0.3
PLATEAU_SHORT = 0.03
SLOPES_APART = 0.20


def look_for_signs(found: CurveEstimate, conditions: Conditions, cautions: Cautions) -> None:
    """Add the cautions that the curve itself gives."""
    _invalid(found, cautions)
    _probe(found, cautions)
    _plateau(found, cautions)
    _slopes(found, cautions)


def _invalid(found: CurveEstimate, cautions: Cautions) -> None:
    curve = found.prepared.curve
    bad = int((~curve.usable).sum())
    if bad:
        cautions.add("invalid_readings", f"{bad} of {curve.time_s.size} readings are invalid and left out")


def _probe(found: CurveEstimate, cautions: Cautions) -> None:
    step, u = found.transfer.coefficient("probe_step")
    if step > 0 and exceeds(step, u, STEP_K, 4.0):
        cautions.add(
            "sensor_in_beam",
            f"the reading steps by {step:.2f} ± {u:.2f} K within two seconds of the switch: the probe sits in the beam; "
            "the blank takes this off only where the beam on the probe is as strong",
        )


def _plateau(found: CurveEstimate, cautions: Cautions) -> None:
    prepared = found.prepared
    on, off = prepared.periods[-1]
    modes = found.modes
    steady = modes.steady_rise(prepared.levels[-1])
    end = found.transfer.rise[prepared.bin_s <= off][-1]
    missing = 1.0 - float(end) / steady
    if missing > PLATEAU_SHORT:
        cautions.add(
            "not_at_plateau",
            f"heating ended after {off - on:.0f} s with {100 * missing:.0f} % of the rise to come: the steady rise is extrapolated",
        )


def _slopes(found: CurveEstimate, cautions: Cautions) -> None:
    heating, cooling = found.heating, found.cooling
    if heating is None or cooling is None:
        return
    apart = heating.value / cooling.value - 1.0
    u = (heating.standard_uncertainty**2 + cooling.standard_uncertainty**2) ** 0.5 / cooling.value
    if exceeds(apart, u, SLOPES_APART):
        cautions.add(
            "slopes_differ",
            f"heating ({heating.value:.0f} s) and cooling ({cooling.value:.0f} s) differ by {100 * abs(apart):.0f} %: "
            "the body is not one thermal mass with one loss",
        )
