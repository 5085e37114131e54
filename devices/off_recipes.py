"""How each laser is told to go off and seen to be off, as data (`nanolab.safety.recipe`); entry points ``nanolab.off``.

No driver is imported here, and nothing that takes long to import: whoever turns a laser off in an emergency needs this.
No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

from collections.abc import Mapping
from typing import Any

from nanolab.quantities import Quantity, parse_quantity
from nanolab.safety.recipe import LineRecipe, OffCheck, OffRecipe, OffStep

JUNK = "@@@"
"""Rejected by every one of these instruments: ends a command that was half sent without carrying it out."""

_BY_HAND = "and make sure that no light comes out before going near"


def cobolt_06_mld(device: str, address: str, settings: Mapping[str, Any]) -> OffRecipe:
    """Return the recipe of a Cobolt 06-MLD: l0, the sequence stopped; flag 0, no measured power, no current."""
    # a sequence under way would go on otherwise, and emit later
    steps, checks = (OffStep("l0", reply=1), OffStep("@cob0", reply=1)), [OffCheck("l?", equals=("0",))]
    if settings.get("autostart") == "sequence":
        # states in which it will not emit: off, fault, aborted
        checks.append(OffCheck("gom?", equals=("0", "5", "6")))
    return OffRecipe(
        device,
        address,
        LineRecipe(baudrate=115200, write="\r", read="\n", pause_s=_value(settings, "pause", "s", 0.1)),
        steps,
        (
            *checks,
            OffCheck("pa?", below=_value(settings, "dark_power", "W", 1e-3)),
            OffCheck("i?", below=1e3 * _value(settings, "dark_current", "A", 0.02)),  # in mA
        ),
        f"Turn the key of the Cobolt laser to off, open its interlock or cut its mains, {_BY_HAND}.",
        flush=f"{JUNK}\r",
        flush_reply=1,
        confirm_within_s=2.0,
    )


def coherent_obis(device: str, address: str, settings: Mapping[str, Any]) -> OffRecipe:
    """Return the recipe of a Coherent OBIS: state OFF, emission and delay not in the status word, no measured power, no current.

    Every answer of an OBIS ends with a line OK.
    """
    channel = int(settings.get("channel") or 0)
    root = f"SOUR{channel}" if channel else "SOUR"
    system = f"SYST{channel}" if channel else "SYST"
    return OffRecipe(
        device,
        address,
        LineRecipe(baudrate=115200, write="\r", read="\n", pause_s=_value(settings, "pause", "s", 0.0)),
        (OffStep(f"{root}:AM:STAT OFF", reply=1),),
        (
            OffCheck(f"{root}:AM:STAT?", equals=("OFF",), lines=2),
            # second digit from the right: neither delay (1) nor that and others; last digit: no emission (2)
            OffCheck(f"{system}:STAT?", pattern=r"[0-9A-Fa-f]{6}[02468ACEace][014589CDcd]", lines=2),
            OffCheck(f"{root}:POW:LEV?", below=_value(settings, "dark_power", "W", 1e-3), lines=2),
            OffCheck(f"{root}:POW:CURR?", below=_value(settings, "dark_current", "A", 0.02), lines=2),
        ),
        f"Turn the key of the OBIS controller to off, open its interlock or cut its mains, {_BY_HAND}.",
        flush=f"{JUNK}\r",
        flush_reply=1,
        confirm_within_s=2.0,
    )


def thorlabs_itc4001(device: str, address: str, settings: Mapping[str, Any]) -> OffRecipe:
    """Return the recipe of a Thorlabs ITC4001 (1 A)."""
    return _itc4000(device, address, settings, 1.0)


def thorlabs_itc4005(device: str, address: str, settings: Mapping[str, Any]) -> OffRecipe:
    """Return the recipe of a Thorlabs ITC4005 (5 A)."""
    return _itc4000(device, address, settings, 5.0)


def _itc4000(device: str, address: str, settings: Mapping[str, Any], full_scale_a: float) -> OffRecipe:
    """Output off and no current set; output 0, laser not in the status word, no current measured."""
    threshold_a = _value(settings, "threshold_current", "A", 0.0)
    dark_a = min(0.01 * full_scale_a, max(0.5 * threshold_a, 1e-3))
    return OffRecipe(
        device,
        address,
        LineRecipe(kind="visa", write="\n", read="\n"),
        (OffStep("OUTP1 OFF"), OffStep("SOUR:CURR 0")),
        (
            OffCheck("OUTP1?", equals=("0",)),
            OffCheck("STAT:OPER:COND?", bit_clear=11),
            OffCheck("MEAS:CURR1?", below=dark_a),
        ),
        f"Turn the key of the laser controller to off or open its interlock, {_BY_HAND}.",
        flush=f"{JUNK}\n",
    )


def _value(settings: Mapping[str, Any], key: str, unit: str, default: float) -> float:
    """Return a quantity of the table in `unit`: as text, as a number, checked, or checked and written out as a mapping."""
    given = settings.get(key)
    if given is None:
        return default
    if isinstance(given, Quantity):
        return given.value
    if isinstance(given, Mapping):
        return float(given["value"])
    return parse_quantity(given, unit).value
