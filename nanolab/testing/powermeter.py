"""What every optical power meter keeps."""

from nanolab.interfaces import PowerMeter
from nanolab.testing.rig import Check, RigMaker, common, connected, is_invalid, must, read_once


def check_power_is_read(make: RigMaker) -> None:
    """Check this: power in W with a flag; the meter says where it is and how that relates to the sample plane."""
    with connected(make) as rig:
        device = rig.device
        must(isinstance(device, PowerMeter), "it is no nanolab.interfaces.PowerMeter")
        must(device.position in {"sample_plane", "behind_cuvette", "pickoff"}, f"position {device.position!r}")
        must(device.to_sample_plane > 0.0, "to_sample_plane is not positive")
        values = read_once(device)
        must(values[f"{device.name}_valid"] == 1, f"not valid: {values[f'{device.name}_reason']}")
        must(-1.0 < values[f"{device.name}_power"] < 100.0, "the power is not plausible")
        must(device.describe()[f"{device.name}_power"]["units"] == "W", "the power is not in W")


def check_over_range_is_invalid(make: RigMaker) -> None:
    """Check this: over range is NaN, flagged and explained."""
    with connected(make) as rig:
        if not rig.can("over_range"):
            return
        rig.set_fault("over_range", True)
        name = rig.device.name
        values = read_once(rig.device)
        must(is_invalid(values, f"{name}_power", f"{name}_valid"), f"over range reads {values[f'{name}_power']}")
        must("range" in values[f"{name}_reason"], "the reason does not say over range")


powermeter_contract: tuple[Check, ...] = (*common, check_power_is_read, check_over_range_is_invalid)
"""Contract suite of power meters."""
