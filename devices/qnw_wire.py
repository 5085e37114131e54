"""What a Quantum Northwest controller is told and says: frames, status, errors in words."""

import math
import re
from dataclasses import dataclass

from devices.link import Link
from nanolab.errors import DeviceError

STATION = "F1"
CONTROL_OFF = f"[{STATION} TC -][{STATION} SS -]"
MODELS = {14: "TC 1", 24: "TC 1 dual", 34: "turret 6", **dict.fromkeys(range(10, 13), "qpod"),
          **dict.fromkeys(range(20, 23), "qpod dual"), **dict.fromkeys(range(30, 33), "qpod turret")}  # fmt: skip
ERRORS = {
    "05": "the temperature of the cell is out of range (error 05)",
    "06": "cell and heat exchanger are out of range (error 06)",
    "07": "the heat exchanger is out of range (error 07)",
    "08": "the coolant is not enough, and temperature control has switched itself off (error 08)",
}
MOST_ERRORS = 10

_FRAME = re.compile(r"\[(\w\w) ([^\[\]]*)\]", re.ASCII)
_STATUS = re.compile(r"IS (\d)([+-])([+-])([SC]).*", re.ASCII)
_NO_PROBE = frozenset({"NOPROBE", "PT NA"})


@dataclass(frozen=True)
class HolderStatus:
    """The status word: errors that wait, stirrer, temperature control, whether the block is stable."""

    errors: int
    stirring: bool
    controlling: bool
    stable: bool


class QnwWire:
    """Asks one station. ``restarted`` becomes True when the controller says that it was switched on anew."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._name = name
        self.restarted = False

    def ask(self, query: str, *sets: str) -> str:
        """Carry out `sets`, then ask `query` (``TT ?``) and return the reply without brackets and station.

        DeviceError where an error came instead, or what came cannot be understood.
        """
        sent = "".join(f"[{STATION} {text}]" for text in (*sets, query))
        received = self._link.exchange(sent)
        *others, answer = _FRAME.findall(received) or [("", "")]
        if answer[0] != STATION:
            raise self.garbled(sent, received)
        for station, text in others:
            if (station, text) == (STATION, "IS R"):
                self.restarted = True
            elif text.startswith("ER ") and text != "ER -1" and sets:
                raise DeviceError(self._name, error_words(text[3:]), sent=sent, received=received)
        return str(answer[1])

    def garbled(self, sent: str, received: str) -> DeviceError:
        """Return the error for a reply that cannot be understood."""
        self._link.mistrust()
        return DeviceError(self._name, "sent a reply that cannot be understood", sent=sent, received=received)

    def number(self, query: str, *sets: str) -> float:
        """Ask for a number."""
        text = self.ask(query, *sets)
        try:
            value = float(text.split()[1])
        except (ValueError, IndexError):
            value = math.nan
        if not math.isfinite(value):
            raise self.garbled(query, text)
        return value

    def write(self, name: str, value: str) -> None:
        """Set a number and read it back as a number (firmware may drop zeros); DeviceError where it was not taken."""
        has = self.number(f"{name} ?", f"{name} S {value}")
        if abs(has - float(value)) > 0.0051:
            raise DeviceError(self._name, f"did not take {value}, it has {has:g}", sent=f"[{STATION} {name} S {value}]")

    def status(self, *sets: str) -> HolderStatus:
        """Carry out `sets` and return the status."""
        text = self.ask("IS ?", *sets)
        match = _STATUS.fullmatch(text)
        if match is None:
            raise self.garbled("IS ?", text)
        return HolderStatus(int(match[1]), match[2] == "+", match[3] == "+", match[4] == "S")

    def probe_c(self) -> float | None:
        """Return the temperature of the probe in degC, None where there is none."""
        text = self.ask("PT ?")
        if text in _NO_PROBE:
            return None
        try:
            return float(text.removeprefix("PT "))
        except ValueError:
            raise self.garbled("PT ?", text) from None

    def errors(self) -> list[str]:
        """Take all errors that wait, in words."""
        found: list[str] = []
        for _ in range(MOST_ERRORS):
            text = self.ask("ER ?").removeprefix("ER ")
            if text == "-1":
                break
            found.append(error_words(text))
        return found


def error_words(text: str) -> str:
    """Return an error (``08``, ``09<<...>>``) in words."""
    code = text.strip()[:2]
    if code == "09":
        return f"did not understand {text.strip()[2:].strip('<>')!r} (error 09)"
    return ERRORS.get(code, f"reports an error that is not known ({text.strip()})")
