"""Off recipes of the dead-man box and of the laser that it (or a plain relay) lets out: open the contact, read it back.

The read-back is about the contact, not about light. On a real box opening its port resets the board, which opens the
contact too; it then listens after `boot` seconds. Imports neither ophyd nor bluesky.
"""

from collections.abc import Mapping
from typing import Any

from nanolab.safety.deadman import BAUDRATE, OPEN, STATE
from nanolab.safety.recipe import LineRecipe, OffCheck, OffRecipe, OffStep

_IS_OPEN = r"[SR],(?:OPEN|FAULT),[A-Z]+,\d+,\d+,0,0,[01]\*[0-9A-F]{2}"
_BOOT_S = 2.0
_LONGEST_BOOT_S = 30.0
_RELAY = {
    "baudrate": 9600, "off": "RLY10", "ask": "RLY1?", "says_off": "RLY10", "write_end": "\r", "read_end": "\n",
    "answered": False, "junk": "@@@", "junk_answers": 0,
}  # fmt: skip

BY_HAND = "Turn the laser off at its key or its mains switch, and make sure that no light comes out before going near."


def box_recipe(device: str, address: str, settings: Any) -> OffRecipe:
    """Return how the dead-man box is opened. `settings`: the device's table of bench.toml, read or as it stands."""
    boot_s = 0.0 if address.startswith("tcp://") else _seconds(_plain(settings).get("boot", _BOOT_S))
    return OffRecipe(
        device,
        address,
        LineRecipe(baudrate=BAUDRATE, write="\n", read="\n"),
        steps=(OffStep(OPEN, reply=1),),
        checks=(OffCheck(STATE, pattern=_IS_OPEN),),
        by_hand=BY_HAND,
        # junk alone opens the contact: the box takes no malformed line
        flush="@@@",
        flush_reply=1,
        confirm_within_s=boot_s + 1.0,
    )


def gated_laser_recipe(device: str, address: str, settings: Any) -> OffRecipe:
    """Return how the laser's contact is opened: that of the box, or of a plain relay (``gate = "relay"``)."""
    table = _plain(settings)
    if table.get("gate", "box") == "box":
        return box_recipe(device, address, settings)
    relay = {**_RELAY, **_plain(table.get("relay") or {})}
    return OffRecipe(
        device,
        address,
        LineRecipe(baudrate=int(relay["baudrate"]), write=relay["write_end"], read=relay["read_end"]),
        steps=(OffStep(_bytes(relay["off"]), reply=int(relay["answered"])),),
        checks=(OffCheck(_bytes(relay["ask"]), equals=(_bytes(relay["says_off"]),)),),
        by_hand=BY_HAND,
        flush=_bytes(relay["junk"]),
        flush_reply=int(relay["junk_answers"]),
    )


def _plain(settings: Any) -> Mapping[str, Any]:
    """Return a table, given as it stands in the file or as checked by the driver."""
    dump = getattr(settings, "model_dump", None)
    table: Mapping[str, Any] = settings if dump is None else dump()
    return table


def _seconds(value: Any) -> float:
    """Return a duration in s, as checked (a mapping) or as the file has it; no units library, which takes its time."""
    if isinstance(value, Mapping):
        return float(value["value"])
    number, _, unit = str(value).strip().partition(" ")
    scale = {"": 1.0, "s": 1.0, "ms": 1e-3}.get(unit.strip())
    # in any other unit it is still at most what the driver takes
    return _LONGEST_BOOT_S if scale is None else float(number) * scale


def _bytes(text: str) -> str:
    r"""Return a command with its escapes (``\xA0``) made characters; each is sent as one byte (Latin-1)."""
    return text.encode("ascii").decode("unicode_escape")
