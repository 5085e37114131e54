"""The command tree of the OBIS: headers in long and short form, any case, with the number of a channel on the first word."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

QUERIES = {
    "*IDN?": "identity",
    "*TST?": "test",
    "SYSTem:INFormation:MODel?": "model",
    "SYSTem:INFormation:SNUMber?": "serial",
    "SYSTem:INFormation:PNUMber?": "part",
    "SYSTem:INFormation:FVERsion?": "firmware",
    "SYSTem:INFormation:PVERsion?": "protocol",
    "SYSTem:INFormation:MDATe?": "made",
    "SYSTem:INFormation:CDATe?": "calibrated",
    "SYSTem:INFormation:WAVelength?": "wavelength",
    "SYSTem:INFormation:POWer?": "rating",
    "SYSTem:INFormation:TYPe?": "type",
    "SYSTem:CYCLes?": "cycles",
    "SYSTem:HOURs?": "hours",
    "SYSTem:DIODe:HOURs?": "diode_hours",
    "SYSTem:STATus?": "status",
    "SYSTem:FAULt?": "fault",
    "SYSTem:LOCK?": "lock",
    "SYSTem:CDRH?": "cdrh",
    "SYSTem:AUTostart?": "autostart",
    "SYSTem:INDicator:LASer?": "indicator",
    "SYSTem:ERRor:COUNt?": "error_count",
    "SYSTem:ERRor:NEXT?": "next_error",
    "SYSTem:COMMunicate:HANDshaking?": "handshake",
    "SYSTem:COMMunicate:PROMpt?": "prompt",
    "SOURce:AM:STATe?": "state",
    "SOURce:AM:SOURce?": "mode",
    "SOURce:AM:BLANking?": "blanking",
    "SOURce:POWer:LEVel:IMMediate:AMPLitude?": "setpoint",
    "SOURce:POWer:LEVel?": "measured",
    "SOURce:POWer:CURRent?": "current",
    "SOURce:POWer:LIMit:LOW?": "least",
    "SOURce:POWer:LIMit:HIGH?": "most",
    "SOURce:POWer:NOMinal?": "nominal",
    "SOURce:CURRent:LIMit:LOW?": "least_current",
    "SOURce:CURRent:LIMit:HIGH?": "most_current",
    "SOURce:TEMPerature:APRobe?": "tec",
    "SOURce:TEMPerature:DIODe?": "diode_c",
    "SOURce:TEMPerature:INTernal?": "internal_c",
    "SOURce:TEMPerature:BASeplate?": "base_c",
}
"""Header of a query, and the name by which the instrument knows it. Blanking's header is UNSURE."""

COMMANDS = {
    "*RST": "restart",
    "SYSTem:CDRH": "cdrh",
    "SYSTem:AUTostart": "autostart",
    "SYSTem:INDicator:LASer": "indicator",
    "SYSTem:ERRor:CLEar": "clear_errors",
    "SYSTem:COMMunicate:HANDshaking": "handshake",
    "SYSTem:COMMunicate:PROMpt": "prompt",
    "SOURce:AM:STATe": "state",
    "SOURce:AM:INTernal": "internal",
    "SOURce:AM:EXTernal": "external",
    "SOURce:AM:BLANking": "blanking",
    "SOURce:POWer:LEVel:IMMediate:AMPLitude": "setpoint",
    "SOURce:TEMPerature:APRobe": "tec",
}
"""Header of a command, and the name of what it sets."""

BARE = frozenset({"restart", "clear_errors"})
"""Commands without an argument."""


@dataclass(frozen=True)
class Request:
    """One line, understood."""

    name: str
    query: bool
    channel: int
    argument: str


def _pattern(header: str) -> re.Pattern[str]:
    words = []
    for number, word in enumerate(header.rstrip("?").split(":")):
        if word.startswith("*"):
            words.append(re.escape(word) + r"(?P<channel>\d?)")
            continue
        short = re.match(r"[A-Z]+", word)
        tail = word[short.end() :] if short else word
        optional = f"(?:{tail})?" if tail else ""
        words.append((short[0] if short else "") + optional + (r"(?P<channel>\d?)" if number == 0 else ""))
    return re.compile(":".join(words) + (r"\?" if header.endswith("?") else ""), re.IGNORECASE)


def _compiled(headers: Iterable[tuple[str, str]], query: bool) -> list[tuple[re.Pattern[str], str, bool]]:
    return [(_pattern(header), name, query) for header, name in headers]


_TABLE = [*_compiled(QUERIES.items(), True), *_compiled(COMMANDS.items(), False)]


def understood(line: str) -> Request | None:
    """Return what a line asks for; None where its header is unknown."""
    header, _, argument = line.partition(" ")
    for pattern, name, query in _TABLE:
        found = pattern.fullmatch(header)
        if found:
            return Request(name, query, int(found["channel"] or 0), argument.strip())
    return None
