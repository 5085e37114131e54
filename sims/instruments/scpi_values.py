"""Parameters of SCPI commands: numbers with SI suffixes, words, switches, quoted text, channel lists.

Every reader raises `ScpiError` with the number that SCPI-1999 volume 2 (21.8) gives for the mistake.
"""

import math
import re
from dataclasses import dataclass

ERROR_TEXTS = {
    0: "No error",
    -100: "Command error",
    -101: "Invalid character",
    -102: "Syntax error",
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -131: "Invalid suffix",
    -138: "Suffix not allowed",
    -213: "INIT ignored",
    -214: "Trigger deadlock",
    -221: "Settings conflict",
    -222: "Data out of range",
    -224: "Illegal parameter value",
    -230: "Data corrupt or stale",
    -241: "Hardware missing",
    -350: "Error queue overflow",
    -363: "Input buffer overrun",
    -410: "Query INTERRUPTED",
    -420: "Query UNTERMINATED",
}

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?)\s*([A-Z%/]*)", re.IGNORECASE)
_RADIX = {"H": 16, "Q": 8, "B": 2}
_MULTIPLIERS = {
    "EX": 1e18, "PE": 1e15, "T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3,
    "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12, "F": 1e-15, "A": 1e-18,
}  # fmt: skip


class ScpiError(Exception):
    """A mistake that goes into the error queue; `text` overrides the standard wording."""

    def __init__(self, code: int, text: str | None = None) -> None:
        self.code = code
        self.text = ERROR_TEXTS.get(code, "Device-specific error") if text is None else text
        super().__init__(f'{code},"{self.text}"')


def read_number(text: str, unit: str | None = None) -> float:
    """Return the number in `text`, in base units.

    With a `unit` such as ``"A"`` a suffix is allowed: ``250mA``, ``0.25 A``, ``1 KA`` (multipliers of
    SCPI-1999, so ``M`` is milli and ``MA`` before the unit is mega). -104 no number, -131 wrong suffix, -138
    none allowed.
    """
    if text[:1] == "#" and text[1:2].upper() in _RADIX:
        try:
            return float(int(text[2:], _RADIX[text[1].upper()]))
        except ValueError:
            raise ScpiError(-104) from None
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ScpiError(-104)
    value, suffix = float(match[1]), match[2].upper()
    if not math.isfinite(value):
        raise ScpiError(-222)
    if not suffix:
        return value
    if unit is None:
        raise ScpiError(-138)
    if suffix == unit.upper():
        return value
    if suffix.endswith(unit.upper()):
        multiplier = _MULTIPLIERS.get(suffix.removesuffix(unit.upper()))
        if multiplier is not None:
            return value * multiplier
    raise ScpiError(-131)


def extreme(text: str, low: float, high: float, default: float) -> float | None:
    """Return what ``MIN``, ``MAX`` or ``DEF`` stands for; None where `text` is none of them."""
    word = text.upper()
    if word in {"MIN", "MINIMUM"}:
        return low
    if word in {"MAX", "MAXIMUM"}:
        return high
    if word in {"DEF", "DEFAULT"}:
        return default
    return None


def read_limited(text: str, low: float, high: float, default: float, unit: str | None = None) -> float:
    """Return a number between `low` and `high` (or MIN, MAX, DEF); -222 where it is outside."""
    value = extreme(text, low, high, default)
    if value is None:
        value = read_number(text, unit)
    if not low <= value <= high:
        raise ScpiError(-222)
    return value


def read_integer(text: str, low: int, high: int, default: int) -> int:
    """Return a whole number between `low` and `high`; a fraction is rounded, as IEEE 488.2 asks."""
    return round(read_limited(text, low, high, default))


def read_switch(text: str) -> bool:
    """Return ON or OFF, 1 or 0; any other number is rounded and counts as ON unless 0. -224 otherwise."""
    word = text.upper()
    if word in {"ON", "1"}:
        return True
    if word in {"OFF", "0"}:
        return False
    try:
        return round(read_number(text)) != 0
    except ScpiError:
        raise ScpiError(-224) from None


def short_form(word: str) -> str:
    """Return the short form of a mnemonic written the manual's way: ``TRACk`` gives ``TRAC``."""
    return "".join(letter for letter in word if not letter.islower())


def read_word(text: str, *words: str) -> str:
    """Return the short form of the one of `words` (written ``"TRACk"``) that `text` is; -224 if none is."""
    given = text.upper()
    for word in words:
        short = short_form(word)
        if given in {short, word.upper()}:
            return short
    raise ScpiError(-224)


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter that is only kept and told: a number with limits, a word of `words`, or a switch.

    `header` is the pattern of its command, `key` its place in the instrument's values; the kind follows from
    `default` (bool: a switch, str: a word in its short form, float: a number in base units of `unit`).
    """

    key: str
    header: str
    default: bool | str | float
    low: float = -math.inf
    high: float = math.inf
    unit: str | None = None
    words: tuple[str, ...] = ()

    def read(self, text: str) -> bool | str | float:
        """Return the value that `text` means; ScpiError where it means none."""
        if isinstance(self.default, bool):
            return read_switch(text)
        if isinstance(self.default, str):
            return read_word(text, *self.words)
        return read_limited(text, self.low, self.high, self.default, self.unit)

    def extreme(self, text: str) -> float:
        """Return the limit or default that a query asks for; -108 where it has none."""
        if isinstance(self.default, bool | str):
            raise ScpiError(-108)
        value = extreme(text, self.low, self.high, self.default)
        if value is None:
            raise ScpiError(-224)
        return value


def read_string(text: str) -> str:
    """Return what is between the quotes; -104 where there are none."""
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        raise ScpiError(-104)
    return text[1:-1]


def split_outside(text: str, separator: str) -> list[str]:
    """Split at `separator` where it is neither inside quotes nor inside parentheses; pieces are stripped."""
    if separator not in text:
        return [text.strip()]
    pieces, start, quote, depth = [], 0, "", 0
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif letter == separator and depth == 0:
            pieces.append(text[start:at].strip())
            start = at + 1
    pieces.append(text[start:].strip())
    return pieces


def read_channel_list(text: str) -> list[tuple[int, int]]:
    """Return the ranges of a list ``(@101,103:105)`` as written, (first, last) each; ``(@)`` gives none.

    -102 where it is no list.
    """
    match = re.fullmatch(r"\(@\s*([\d\s,:]*)\)", text)
    if match is None:
        raise ScpiError(-102)
    if not match[1].strip():
        return []
    ranges = []
    for part in match[1].split(","):
        ends = [end.strip() for end in part.split(":")]
        if len(ends) > 2 or not all(end.isdigit() for end in ends):
            raise ScpiError(-102)
        ranges.append((int(ends[0]), int(ends[-1])))
    return ranges


def definite_block(text: str) -> str:
    """Return `text` as an IEEE 488.2 definite-length block: ``#214(@101,102,103)``."""
    length = str(len(text))
    return f"#{len(length)}{length}{text}"


def exponent(value: float) -> str:
    """Return NR3 as the Thorlabs instruments write it: ``2.50000000E-01``."""
    return f"{value:.8E}"


def signed_exponent(value: float) -> str:
    """Return NR3 as the HP/Agilent/Keysight meters write it: ``+2.50000000E-01``."""
    return f"{value:+.8E}"
