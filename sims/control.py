"""The control port and the truth port: one JSON object a line, each way.

Operations on the control port::

    {"op": "time"}
    {"op": "advance", "seconds": 1.0}          only at full speed, only by the client that holds the clock
    {"op": "load", "cuvette": "sample"}        or "blank", "empty", "reference"
                                               or "medium", "dialysis", "free", "carrier", "standard", "filtrate", "lysate", "indicator"
    {"op": "add", "what": "enzyme"}            or "surfactant": pipetted into the cuvette
    {"op": "withdraw", "ml": 0.1, "replace": true}    an aliquot of what is outside the insert; fresh medium put in for it
    {"op": "instruments"}                      where every instrument is, as in the ready line
    {"op": "faults"}                           what can go wrong with which instrument, and what is on
    {"op": "fault", "instrument": "laser", "fault": "interlock_open", "on": true}
    {"op": "fault", …, "at_s": 300.0}          when lab time reaches 300 s (scripts, rehearsals)
    {"op": "clear", "instrument": "laser"}     device clear: forgets unread replies, half-sent messages

Every reply carries ``ok``, ``time_s`` and ``speed``; where ``ok`` is false, ``error`` is a sentence. The
first connection that advances the clock holds it until it closes. The truth port knows ``{"op": "truth"}`` and
``{"op": "emissions"}`` (when emission began and ended, in wall time), and is opened for tests.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from nanolab.errors import nearest
from sims.instruments.base import InstrumentSimulator, Reply, Session
from sims.pace import LabClock

LONGEST_ADVANCE_S = 86400.0
CUVETTES = (
    "sample", "blank", "empty", "reference", "medium", "dialysis", "free", "carrier", "standard", "filtrate", "lysate",
    "indicator",
)  # fmt: skip
ADDITIONS = ("enzyme", "surfactant")
_LINE_LIMIT = 65536

JsonObject = dict[str, Any]


class ControlledWorld(Protocol):
    """The part of the world that the control port reaches."""

    def load(self, cuvette: Any) -> None:
        """Put this cuvette into the holder."""

    def add(self, what: Any) -> None:
        """Pipette this into the cuvette."""

    def withdraw(self, ml: float, replace: bool = True) -> None:
        """Take an aliquot, and put fresh medium in for it."""


class _RefusedError(Exception):
    """Why an operation is not carried out, in a sentence."""


class LineSession(Session):
    """Splits what arrives into lines and answers each with one JSON object."""

    def __init__(self, answer: Callable[[object, JsonObject], JsonObject]) -> None:
        self._answer = answer
        self._buffer = b""
        self._on_close: Callable[[object], None] | None = None

    def on_close(self, told: Callable[[object], None]) -> "LineSession":
        """Have `told` called with this session when its connection has ended."""
        self._on_close = told
        return self

    def feed(self, data: bytes) -> list[Reply]:
        """Answer all lines that are complete by now."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > _LINE_LIMIT:
            self._buffer = b""
            return [Reply(_encoded(self._refusal(f"a line is at most {_LINE_LIMIT} bytes long")), close=True)]
        return [Reply(_encoded(self._reply(line))) for line in lines if line.strip()]

    def closed(self) -> None:
        """Tell whoever asked for it that the connection has ended."""
        if self._on_close is not None:
            self._on_close(self)

    def _reply(self, line: bytes) -> JsonObject:
        try:
            request = json.loads(line)
        except ValueError:
            return self._refusal('this line is not JSON; send one object a line, such as {"op": "time"}')
        if not isinstance(request, dict) or not isinstance(request.get("op"), str):
            return self._refusal('this line has no operation; send an object such as {"op": "time"}')
        return self._answer(self, request)

    def _refusal(self, sentence: str) -> JsonObject:
        return self._answer(self, {"op": None, "error": sentence})


def _encoded(reply: JsonObject) -> bytes:
    return (json.dumps(reply, allow_nan=False) + "\n").encode()


class ControlDesk:
    """Carries out what control clients ask for.

    Parameters
    ----------
    clock : LabClock
        Moves lab time.
    world : ControlledWorld
        Takes the cuvette.
    instruments : mapping of str to InstrumentSimulator
        By role.
    fault_switched, cleared : callable
        Told the role after a fault was switched, or when a device clear is asked for.
    places : callable
        Returns where every instrument is: the ``instruments`` of the ready line.
    """

    def __init__(
        self,
        clock: LabClock,
        world: ControlledWorld,
        instruments: Mapping[str, InstrumentSimulator],
        *,
        fault_switched: Callable[[str], None],
        cleared: Callable[[str], None],
        places: Callable[[], JsonObject] = dict,
    ) -> None:
        self._clock = clock
        self._world = world
        self._instruments = instruments
        self._fault_switched = fault_switched
        self._cleared = cleared
        self._places = places
        self._holder: object | None = None
        self._operations: dict[str, Callable[[object, JsonObject], JsonObject]] = {
            "time": self._time,
            "advance": self._advance,
            "load": self._load,
            "add": self._add,
            "withdraw": self._withdraw,
            "instruments": self._list_instruments,
            "faults": self._faults,
            "fault": self._fault,
            "clear": self._clear,
        }

    def session(self) -> LineSession:
        """Return a session for a new client; when it closes it lets go of the clock."""
        return LineSession(self.answer).on_close(self._release)

    def answer(self, client: object, request: JsonObject) -> JsonObject:
        """Return the reply to one request. Never raises for a bad request."""
        try:
            operation = self._operations.get(request["op"])
            if operation is None:
                sentence = request.get("error") or f"unknown operation '{request['op']}'; " + nearest(
                    str(request["op"]), list(self._operations)
                )
                raise _RefusedError(sentence)
            reply = operation(client, request)
        except _RefusedError as refusal:
            reply = {"ok": False, "error": str(refusal)}
        reply["time_s"] = self._clock.time_s
        reply["speed"] = "max" if self._clock.speed is None else self._clock.speed
        return reply

    def _release(self, client: object) -> None:
        if self._holder is client:
            self._holder = None

    def _time(self, client: object, request: JsonObject) -> JsonObject:
        return {"ok": True}

    def _advance(self, client: object, request: JsonObject) -> JsonObject:
        seconds = request.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise _RefusedError("advance needs 'seconds', a finite number of lab seconds")
        if not 0.0 <= seconds <= LONGEST_ADVANCE_S:
            raise _RefusedError(f"cannot advance by {seconds:g} s: it must be 0 to {LONGEST_ADVANCE_S:g} s at a time")
        if self._clock.speed is not None:
            raise _RefusedError(
                f"time runs by itself here (speed {self._clock.speed:g}); only a server at speed max is advanced"
            )
        if self._holder is None:
            self._holder = client
        elif self._holder is not client:
            raise _RefusedError("another client moves the clock; it is free again when that one disconnects")
        self._clock.advance(float(seconds))
        return {"ok": True}

    def _load(self, client: object, request: JsonObject) -> JsonObject:
        cuvette = request.get("cuvette")
        if cuvette not in CUVETTES:
            raise _RefusedError(f"there is no cuvette '{cuvette}'; {nearest(str(cuvette), list(CUVETTES))}")
        self._world.load(cuvette)
        return {"ok": True, "cuvette": cuvette}

    def _add(self, client: object, request: JsonObject) -> JsonObject:
        what = request.get("what")
        if what not in ADDITIONS:
            raise _RefusedError(f"there is no addition '{what}'; {nearest(str(what), list(ADDITIONS))}")
        self._world.add(what)
        return {"ok": True, "what": what}

    def _withdraw(self, client: object, request: JsonObject) -> JsonObject:
        ml, replace = request.get("ml"), request.get("replace", True)
        if isinstance(ml, bool) or not isinstance(ml, int | float) or not math.isfinite(ml):
            raise _RefusedError("withdraw needs 'ml', a finite number of millilitres")
        if not isinstance(replace, bool):
            raise _RefusedError("withdraw: 'replace' is true (fresh medium put in for it) or false")
        try:
            self._world.withdraw(float(ml), replace)
        except ValueError as error:
            raise _RefusedError(str(error)) from None
        return {"ok": True, "ml": ml, "replace": replace}

    def _list_instruments(self, client: object, request: JsonObject) -> JsonObject:
        return {"ok": True, "instruments": self._places()}

    def _faults(self, client: object, request: JsonObject) -> JsonObject:
        faults = {role: dict(instrument.faults) for role, instrument in self._instruments.items()}
        active = [
            {"instrument": role, "fault": fault}
            for role, instrument in self._instruments.items()
            for fault in sorted(instrument.active)
        ]
        return {"ok": True, "faults": faults, "active": active}

    def _fault(self, client: object, request: JsonObject) -> JsonObject:
        role, instrument = self._instrument(request)
        fault, on = request.get("fault"), request.get("on", True)
        if not isinstance(fault, str) or not isinstance(on, bool):
            raise _RefusedError("fault needs 'instrument', 'fault' (a name) and 'on' (true or false)")
        at_s = request.get("at_s", self._clock.time_s)
        if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not math.isfinite(at_s):
            raise _RefusedError("'at_s' is a lab time in seconds")
        if fault not in instrument.faults:
            raise _RefusedError(f"there is no fault '{fault}' of the {role}; {nearest(fault, list(instrument.faults))}")

        def switch() -> None:
            instrument.set_fault(fault, on)
            self._fault_switched(role)

        try:
            if at_s == self._clock.time_s:
                switch()
                if (fault in instrument.active) != on:
                    raise _RefusedError(f"the port of the {role} was taken by another program; it stays closed")
            else:
                self._clock.at(float(at_s), switch)
        except ValueError as error:
            raise _RefusedError(str(error)) from None
        return {"ok": True, "instrument": role, "fault": fault, "on": on, "at_s": at_s}

    def _clear(self, client: object, request: JsonObject) -> JsonObject:
        role, _ = self._instrument(request)
        self._cleared(role)
        return {"ok": True, "instrument": role}

    def _instrument(self, request: JsonObject) -> tuple[str, InstrumentSimulator]:
        role = request.get("instrument")
        if not isinstance(role, str) or role not in self._instruments:
            raise _RefusedError(f"there is no instrument '{role}' here; {nearest(str(role), list(self._instruments))}")
        return role, self._instruments[role]


def truth_session(
    clock: LabClock, truth: Callable[[], JsonObject], emissions: Callable[[], list[JsonObject]]
) -> LineSession:
    """Return a session of the truth port."""
    operations: Mapping[str, Callable[[], JsonObject]] = {
        "truth": lambda: {"truth": truth()},
        "emissions": lambda: {"emissions": emissions()},
    }

    def answer(client: object, request: JsonObject) -> JsonObject:
        stamp = {"time_s": clock.time_s, "speed": "max" if clock.speed is None else clock.speed}
        operation = operations.get(request["op"])
        if operation is None:
            unknown = f"unknown operation '{request['op']}'; the truth port knows 'truth' and 'emissions'"
            return {"ok": False, "error": request.get("error") or unknown, **stamp}
        return {"ok": True, **stamp, **operation()}

    return LineSession(answer)
