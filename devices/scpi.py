"""SCPI over a link: joined messages, the error queue read with each of them, strict reading of what comes back.

Commands and queries of one message are joined (``;`` and back to the root ``:``), the error queue comes last:
``OUTP1?;:MEAS:CURR1?;:SYST:ERR?`` is answered by ``1;0.3501;+0,"No error"``. One exchange then does the work of three,
and no setting goes unchecked.
"""

import math
import re
import time
from collections.abc import Sequence

from devices.link import Link, SilentError
from nanolab.errors import DeviceError

REPLY_SHARE = 0.8
"""Share of a deadline that is spent waiting for the reply; the rest is for asking what went wrong."""

MOST_ERRORS = 25
"""Error queues hold 10 or 20 entries; reading them ends after this many whatever the instrument says."""

OVERLOAD = 9.0e36
"""SCPI instruments say 9.9E37 (or 9.91E37 for "not a number") where there is no value."""

_NO_NUMBER = {"nan", "+nan", "-nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
_ERROR = re.compile(r'\s*([+-]?\d+)\s*,\s*"(.*)"\s*', re.ASCII)


class ReportedError(DeviceError):
    """The instrument's own error queue holds something."""


def join(units: Sequence[str]) -> str:
    """Join commands and queries to one message, each from the root of the tree."""
    return ";".join(unit if index == 0 or unit.startswith("*") else f":{unit}" for index, unit in enumerate(units))


def split(reply: str) -> list[str]:
    """Split a reply at its semicolons, those inside quotes left alone."""
    fields, start, quoted = [], 0, False
    for index, character in enumerate(reply):
        if character == '"':
            quoted = not quoted
        elif character == ";" and not quoted:
            fields.append(reply[start:index])
            start = index + 1
    fields.append(reply[start:])
    return fields


def is_query(unit: str) -> bool:
    """Return True where a unit of a message is answered."""
    return unit.split(" ", 1)[0].endswith("?")


class Scpi:
    """One instrument's SCPI session; every method runs an exchange on `link`.

    Parameters
    ----------
    link : Link
        The open link.
    name : str
        The device's name, for errors.
    """

    def __init__(self, link: Link, name: str) -> None:
        self.link = link
        self.name = name

    def ask(self, *units: str, deadline_s: float | None = None, quiet_s: float = 0.0) -> list[str]:
        """Send commands and queries as one message with the error queue behind them; return the queries' fields.

        DeviceError with the instrument's own text where its error queue holds anything, and where the number of
        fields is wrong; the link's errors otherwise. After silence the error queue is asked for the reason, within
        the same deadline, unless `quiet_s` forbids it.
        """
        message = join((*units, "SYST:ERR?"))
        deadline = self.link.deadline_s if deadline_s is None else deadline_s
        limit = time.monotonic() + deadline
        try:
            reply = self.link.exchange(message, deadline_s=REPLY_SHARE * deadline, quiet_s=quiet_s)
        except SilentError as error:
            if quiet_s > 0:
                raise
            words = self._post_mortem(limit - time.monotonic())
            raise SilentError(
                self.name,
                f"gave no whole reply within {REPLY_SHARE * deadline:.2g} s{words}",
                sent=message,
                received=error.received,
                remedy="Check it and its cable.",
            ) from error
        count = sum(map(is_query, units)) + 1
        if count > 1 and (refused := _ERROR.fullmatch(reply)) and int(refused[1]) != 0:
            # an instrument that cannot answer leaves the answers out and says why
            self._raise_reported(reply, message)
        fields = self.fields(reply, count, message)
        entry = fields.pop()
        if not entry.startswith(("+0,", "0,")):
            self._raise_reported(entry, message)
        return fields

    def ask_alone(self, query: str, *, deadline_s: float | None = None) -> str:
        """Send one query without the error queue (for instruments whose language is not known yet)."""
        return self.link.exchange(query, deadline_s=deadline_s)

    def fields(self, reply: str, count: int, message: str) -> list[str]:
        """Split `reply` into exactly `count` fields; DeviceError where it has another number."""
        fields = reply.split(";")
        if len(fields) != count:
            fields = split(reply)
        if len(fields) != count:
            raise self.garbled(message, reply, f"{count} fields are wanted, {len(fields)} came")
        return fields

    def number(self, field: str, what: str) -> float:
        """Read one finite number; DeviceError where it is none."""
        if not _NUMBER.fullmatch(field):
            raise self.garbled(what, field, "a number is wanted")
        return float(field)

    def measured(self, field: str, what: str) -> float:
        """Read a measured number; NaN where the instrument says that there is none (nan, inf, 9.9E37)."""
        if field.strip().lower() in _NO_NUMBER:
            return math.nan
        value = self.number(field, what)
        return value if abs(value) < OVERLOAD else math.nan

    def word(self, field: str, what: str) -> int:
        """Read a status word: a non-negative integer; DeviceError where it is none."""
        value = self.number(field, what)
        if value < 0 or value != int(value):
            raise self.garbled(what, field, "a status word is wanted")
        return int(value)

    def switch(self, field: str, what: str) -> bool:
        """Read 0 or 1; DeviceError where it is neither."""
        text = field.strip()
        if text not in {"0", "1"}:
            raise self.garbled(what, field, "0 or 1 is wanted")
        return text == "1"

    def garbled(self, sent: str, received: str, why: str) -> DeviceError:
        """Return the error for a reply that makes no sense; the connection is not trusted until it is renewed."""
        self.link.mistrust()
        return DeviceError(
            self.name,
            f"sent a garbled reply ({why})",
            sent=sent,
            received=received[:200],
            remedy="Check the cable, and that nobody else talks to it.",
        )

    def errors(self, first: str | None = None) -> list[str]:
        """Empty the error queue and return its entries as text; `first` is one that was read already."""
        entries = []
        entry = first
        for _reading in range(MOST_ERRORS):
            if entry is None:
                entry = self.link.exchange("SYST:ERR?")
            match = _ERROR.fullmatch(entry)
            if match is None:
                raise self.garbled("SYST:ERR?", entry, "a number and a text in quotes are wanted")
            if int(match[1]) == 0:
                break
            entries.append(f"{match[1]} {match[2]}")
            entry = None
        return entries

    def _raise_reported(self, entry: str, message: str) -> None:
        entries = self.errors(entry)
        if entries:
            raise ReportedError(self.name, f"reports an error: {'; '.join(entries)}", sent=message)

    def _post_mortem(self, seconds: float) -> str:
        """Return what the error queue says after silence, in words."""
        try:
            reply = self.link.exchange("SYST:ERR?", deadline_s=max(0.05, seconds), audited=False)
        except DeviceError:
            return " and does not answer SYST:ERR? either"
        match = _ERROR.fullmatch(reply)
        if match is None or int(match[1]) == 0:
            return "; its error queue is empty"
        return f"; its error queue says {match[1]} {match[2]}"
