"""The SCPI layer of the wire simulators: grammar, dispatch, common commands, sessions.

A command is a method marked with its header as the manual prints it::

    @scpi("SOURce[1]:CURRent[:LEVel][:IMMediate][:AMPLitude]?")
    def _current_query(self, which: str | None = None) -> str: ...

Capitals are the short form, ``[...]`` may be left out, a final digit belongs to the mnemonic (``[1]``:
optional), ``#`` is a numeric suffix handed to the method as its first argument (default 1). The method's own
signature says how many parameters there may be. It returns the text of the answer, None, or `Pending`.

Grammar after SCPI-1999 volume 1, chapter 6: ``;`` continues in the same subsystem, ``;:`` starts at the
root, common commands leave the place alone, the answers to one message are joined with ``;`` and end with NL.
CR before NL is tolerated. After a command error (-1xx) the rest of the message is dropped. An unknown query
answers nothing at all: only the error queue knows.

What differs from hardware: real USBTMC and GPIB instruments have an end-of-message bit, a status byte read
out of band and a device clear; a TCP stream has none of them. The control port's ``clear`` stands in for
device clear. -410 cannot be noticed on a stream (nobody sees whether a reply was read), nor can -420 (a read
without a query is invisible); the fault ``stale_reply`` plays -410.
"""

import re
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np

from sims.instruments.base import LINK_FAULTS, BenchWorld, InstrumentSimulator
from sims.instruments.scpi_session import ScpiSession
from sims.instruments.scpi_status import ErrorQueue, StatusGroup
from sims.instruments.scpi_tree import Node, Unit, add, add_marked, find, scpi
from sims.instruments.scpi_values import ScpiError, Setting, exponent, read_integer, split_outside

SCPI_FAULTS: Mapping[str, str] = {
    **LINK_FAULTS,
    "stale_reply": "a reply is never fetched: the next message destroys it and leaves -410 Query INTERRUPTED",
    "spurious_line": "a line that nobody asked for comes before every reply",
    "power_off": "no mains: off and unreachable; when power returns, all settings are forgotten",
    "error_queue_overflow": "the error queue is flooded until it overflows (-350); later errors are lost",
}

_CACHE_LIMIT = 512
_HEADER = re.compile(r":?[A-Z][A-Z0-9_]*(:[A-Z0-9_]+)*\??|\*[A-Z]+\??", re.IGNORECASE)
_ODD_CHARACTER = re.compile(r"[^A-Za-z0-9:*_?]")
_GROUP_METHODS = {
    "[:EVENt]?": "_group_event",
    ":CONDition?": "_group_condition",
    ":ENABle": "_group_enable",
    ":ENABle?": "_group_enable_query",
    ":PTRansition": "_group_positive",
    ":PTRansition?": "_group_positive_query",
    ":NTRansition": "_group_negative",
    ":NTRansition?": "_group_negative_query",
}


class ScpiInstrument(InstrumentSimulator):
    """An instrument that speaks SCPI; subclasses add marked methods, parts, settings and status groups.

    ``parts`` maps an attribute to the class of the object that it holds, whose marked methods are commands as well;
    the object stays the same for as long as the instrument lives.
    ``settings`` are parameters that are only kept and told; they live in ``self.values`` by key.
    ``status_groups`` maps the header of a group (``"STATus:OPERation"``) to its key in ``self.groups``.
    """

    identity: ClassVar[str] = ""
    error_depth: ClassVar[int] = 10
    scpi_version: ClassVar[str] = "1999.0"
    faults: Mapping[str, str] = SCPI_FAULTS
    parts: ClassVar[Mapping[str, type]] = {}
    settings: ClassVar[Sequence[Setting]] = ()
    status_groups: ClassVar[Mapping[str, str]] = {}
    _root: ClassVar[Node]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._root = Node()
        add_marked(cls._root, cls)
        for place, part in cls.parts.items():
            add_marked(cls._root, part, place)
        for setting in cls.settings:
            add(cls._root, setting.header, "_write_setting", cls._write_setting, (setting,))
            add(cls._root, setting.header + "?", "_read_setting", cls._read_setting, (setting,))
        for header, key in cls.status_groups.items():
            for leaf, name in _GROUP_METHODS.items():
                add(cls._root, header + leaf, name, getattr(cls, name), (key,))

    def __init__(self, world: BenchWorld, rng: np.random.Generator, *, slow_reply_s: float = 30.0) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self.errors = ErrorQueue(self.error_depth)
        self.event_status = 128  # power on
        self.event_enable = 0
        self.service_enable = 0
        self.busy_lab_s = 0.0
        self.values: dict[str, Any] = {setting.key: setting.default for setting in self.settings}
        self.groups: dict[str, StatusGroup] = {
            key: StatusGroup(lambda key=key: self.condition(key))  # type: ignore[misc]  # key is bound early
            for key in self.status_groups.values()
        }
        self._compiled: dict[bytes, tuple[Unit, ...]] = {}

    def connection(self) -> ScpiSession:
        """Return a session with an input buffer of its own; state and error queue are the box's."""
        return ScpiSession(self)

    def reset(self) -> None:
        """Carry out `*RST`."""
        self.values = {setting.key: setting.default for setting in self.settings}

    def condition(self, group: str) -> int:
        """Return the condition register of a status group."""
        return 0

    def setting_changes(self, key: str) -> None:
        """Raise ScpiError where this setting cannot be changed now."""

    def clear_status(self) -> None:
        """Carry out `*CLS`: empty the error queue and the event registers."""
        self.errors.clear()
        self.errors.summary = 0
        self.event_status = 0
        for group in self.groups.values():
            group.clear_event()

    def integer(self, value: int) -> str:
        """Return a whole number as this maker writes it."""
        return str(value)

    def number(self, value: float) -> str:
        """Return a number as this maker writes it."""
        return exponent(value)

    def message_done(self) -> None:
        """React to a message that has been carried out (latch status, for instance)."""
        for group in self.groups.values():
            group.update()

    def status_byte(self) -> int:
        """Return the status byte without the summary bit 64."""
        return (4 if len(self.errors) else 0) | (32 if self.events() & self.event_enable else 0)

    def events(self) -> int:
        """Return the standard event register."""
        return self.event_status | self.errors.summary

    def fault_changed(self, name: str, on: bool) -> None:
        """Flood the error queue, or lose all state, where that is asked for."""
        if name == "power_off":
            self.clear_status()
            self.reset()
            self.event_status = 128
        if name == "error_queue_overflow" and on:
            for _ in range(self.errors.depth + 1):
                self.errors.push(ScpiError(-100))

    def compiled(self, message: bytes) -> tuple[Unit, ...]:
        """Return the commands of one message (without its NL), parsed once and remembered."""
        units = self._compiled.get(message)
        if units is None:
            units = tuple(self._parse(message))
            if len(self._compiled) >= _CACHE_LIMIT:
                self._compiled.clear()
            if len(message) < _CACHE_LIMIT:
                self._compiled[message] = units
        return units

    def _parse(self, message: bytes) -> list[Unit]:
        units: list[Unit] = []
        place = ""
        try:
            text = message.decode("ascii")
        except UnicodeDecodeError:
            return [Unit(None, (), -101)]
        for piece in split_outside(text, ";"):
            if not piece:
                continue
            header, *rest = piece.split(None, 1)
            if not _HEADER.fullmatch(header):
                units.append(Unit(None, (), -101 if _ODD_CHARACTER.search(header) else -113))
                break
            if header[0] == "*":
                path = header
            else:
                path = header[1:] if header[0] == ":" else place + header
                place = path[: path.rfind(":") + 1]
            unit = self._unit(path.upper(), rest[0] if rest else "")
            units.append(unit)
            if unit.error:
                break
        return units

    def _unit(self, path: str, parameters: str) -> Unit:
        found = find(self._root, path.rstrip("?").split(":"))
        if found is None:
            return Unit(None, (), -113)
        node, suffixes = found
        entry = node.query if path.endswith("?") else node.command
        if entry is None:
            return Unit(None, (), -113)
        arguments = split_outside(parameters, ",") if parameters else []
        if len(arguments) < entry.least or "" in arguments:
            return Unit(None, (), -109)
        if len(arguments) > entry.most:
            return Unit(None, (), -108)
        method = attrgetter(entry.method)(self)
        return Unit(method, (*entry.always, *suffixes[: entry.suffixes], *arguments))

    # settings and status groups

    def _write_setting(self, setting: Setting, text: str) -> None:
        value = setting.read(text)
        self.setting_changes(setting.key)
        self.values[setting.key] = value

    def _read_setting(self, setting: Setting, which: str | None = None) -> str:
        value = self.values[setting.key] if which is None else setting.extreme(which)
        if isinstance(value, str):
            return value
        return self.integer(int(value)) if isinstance(value, bool) else self.number(value)

    def _group_event(self, key: str) -> str:
        return self.integer(self.groups[key].read_event())

    def _group_condition(self, key: str) -> str:
        return self.integer(self.groups[key].update())

    def _group_enable(self, key: str, mask: str) -> None:
        self.groups[key].enable = read_integer(mask, 0, 65535, 0)

    def _group_enable_query(self, key: str) -> str:
        return self.integer(self.groups[key].enable)

    def _group_positive(self, key: str, mask: str) -> None:
        self.groups[key].positive = read_integer(mask, 0, 32767, 32767)

    def _group_positive_query(self, key: str) -> str:
        return self.integer(self.groups[key].positive)

    def _group_negative(self, key: str, mask: str) -> None:
        self.groups[key].negative = read_integer(mask, 0, 32767, 0)

    def _group_negative_query(self, key: str) -> str:
        return self.integer(self.groups[key].negative)

    @scpi("STATus:PRESet")
    def _preset_groups(self) -> None:
        for group in self.groups.values():
            group.preset()

    # common commands, IEEE 488.2 chapter 10

    @scpi("*IDN?")
    def _identify(self) -> str:
        return self.identity

    @scpi("*RST")
    def _reset(self) -> None:
        self.reset()

    @scpi("*CLS")
    def _clear_status(self) -> None:
        self.clear_status()

    @scpi("*OPC")
    def _operation_complete(self) -> None:
        self.event_status |= 1

    @scpi("*OPC?")
    def _operation_complete_query(self) -> str:
        return "1"

    @scpi("*WAI")
    def _wait(self) -> None:
        return

    @scpi("*TST?")
    def _self_test(self) -> str:
        return self.integer(0)

    @scpi("*ESE")
    def _event_enable(self, mask: str) -> None:
        self.event_enable = read_integer(mask, 0, 255, 0)

    @scpi("*ESE?")
    def _event_enable_query(self) -> str:
        return self.integer(self.event_enable)

    @scpi("*ESR?")
    def _event_status_query(self) -> str:
        events = self.events()
        self.event_status = self.errors.summary = 0
        return self.integer(events)

    @scpi("*SRE")
    def _service_enable(self, mask: str) -> None:
        self.service_enable = read_integer(mask, 0, 255, 0) & ~64

    @scpi("*SRE?")
    def _service_enable_query(self) -> str:
        return self.integer(self.service_enable)

    @scpi("*STB?")
    def _status_byte_query(self) -> str:
        byte = self.status_byte()
        return self.integer(byte | (64 if byte & self.service_enable else 0))

    @scpi("SYSTem:ERRor[:NEXT]?")
    def _next_error(self) -> str:
        return self.errors.pop()

    @scpi("SYSTem:VERSion?")
    def _version(self) -> str:
        return self.scpi_version
