"""What every thermometer keeps."""

from nanolab.interfaces import Thermometer
from nanolab.testing.rig import Check, RigMaker, common, connected, is_invalid, must, read_once


def check_channels_are_read(make: RigMaker) -> None:
    """Check this: every channel has a plausible temperature in degC and a flag; one of them is the sample."""
    with connected(make) as rig:
        device = rig.device
        must(isinstance(device, Thermometer), "it is no nanolab.interfaces.Thermometer")
        must("sample" in device.channel_names, "no channel is called sample")
        values = read_once(device)
        described = device.describe()
        for channel in device.channel_names:
            name = f"{device.name}_{channel}"
            must(values[f"{name}_valid"] == 1, f"{name} is not valid: {values[f'{device.name}_reason']}")
            must(-50.0 < values[name] < 200.0, f"{name} = {values[name]} degC is not plausible")
            must(described[name]["units"] == "degC", f"{name} is not in degC")


def check_open_couple_is_invalid(make: RigMaker) -> None:
    """Check this: an open thermocouple is NaN, flagged, and explained; once mended it reads again."""
    with connected(make) as rig:
        if not rig.can("open_couple"):
            return
        rig.set_fault("open_couple", True)
        name = f"{rig.device.name}_sample"
        values = read_once(rig.device)
        must(is_invalid(values, name, f"{name}_valid"), f"an open couple reads {values[name]}")
        must("open" in values[f"{rig.device.name}_reason"], "the reason does not say that the couple is open")
        rig.set_fault("open_couple", False)
        must(read_once(rig.device)[f"{name}_valid"] == 1, "a mended couple stays invalid")


thermometer_contract: tuple[Check, ...] = (*common, check_channels_are_read, check_open_couple_is_invalid)
"""Contract suite of thermometers."""
