"""What every pH meter keeps."""

import math
from functools import partial
from typing import Any

from nanolab.interfaces import PhProbe
from nanolab.testing.rig import Check, Rig, RigMaker, common, connected, finished, must, read_once, refused

READINGS_TO_RECOVER = 3


def _values(rig: Rig) -> dict[str, Any]:
    return {name.removeprefix(f"{rig.device.name}_"): value for name, value in read_once(rig.device).items()}


def check_ph_is_read(make: RigMaker) -> None:
    """Check this: a pH between 0 and 14 with a flag, and the state of the calibration in the configuration."""
    with connected(make) as rig:
        device = rig.device
        must(isinstance(device, PhProbe), "it is no nanolab.interfaces.PhProbe")
        values = _values(rig)
        must(values["valid"] == 1, f"not valid: {values['reason']}")
        must(0.0 < values["value"] < 14.0, f"pH {values['value']} is not plausible")
        configuration = device.read_configuration()
        for what in ("calibration_points", "acid_slope", "base_slope", "offset"):
            must(f"{device.name}_{what}" in configuration, f"the configuration lacks {what}")


def check_compensation(make: RigMaker) -> None:
    """Check this: the temperature that is told reads back; one that cannot be is refused."""
    with connected(make) as rig:
        finished(rig.device.compensate(37.0))
        must(abs(_values(rig)["compensation"] - 37.0) < 0.1, "the compensation does not read back")
        for wrong in (math.nan, 1000.0, -300.0):
            refused(partial(rig.device.compensate, wrong), f"{wrong} degC")


def check_a_dry_probe_is_invalid(make: RigMaker) -> None:
    """Check this: a dry probe is NaN, flagged and explained; once wet it reads again."""
    with connected(make) as rig:
        if not rig.can("probe_dry"):
            return
        rig.set_fault("probe_dry", True)
        values = _values(rig)
        must(math.isnan(values["value"]) and values["valid"] == 0, f"a dry probe reads {values['value']}")
        must("dry" in values["reason"], "the reason does not say that the probe may be dry")
        rig.set_fault("probe_dry", False)
        must(_values(rig)["valid"] == 1, "a wet probe stays invalid")


def check_a_restart_does_not_lose_the_compensation(make: RigMaker) -> None:
    """Check this: after a restart of the meter the compensation is told again, and no streamed value is believed."""
    with connected(make) as rig:
        if not rig.can("brown_out"):
            return
        finished(rig.device.compensate(60.0))
        right = _values(rig)["value"]
        rig.set_fault("brown_out", True)
        rig.set_fault("brown_out", False)
        rig.advance(3.0)
        for _ in range(READINGS_TO_RECOVER):
            values = _values(rig)
            if values["valid"]:
                must(abs(values["value"] - right) < 0.02, f"pH {right} before a restart, {values['value']} after it")
                must(abs(values["compensation"] - 60.0) < 0.1, "the compensation was not told again")
        must(values["valid"] == 1, f"not valid after a restart: {values['reason']}")


ph_probe_contract: tuple[Check, ...] = (
    *common,
    check_ph_is_read,
    check_compensation,
    check_a_dry_probe_is_invalid,
    check_a_restart_does_not_lose_the_compensation,
)
"""Contract suite of pH meters."""
