"""What a contract check is given: a device that is not connected yet, and what surrounds it."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from bluesky.protocols import Readable, Stageable, Triggerable

from nanolab.errors import DeviceError, NanolabError, RefusedError
from nanolab.interfaces import DeviceContext, Instrument
from nanolab.safety.recipe import OffRecipe

WITHIN_S = 20.0
"""Wall time within which any status of a healthy device must be finished."""


@dataclass
class Rig:
    """A device and its surroundings.

    Parameters
    ----------
    device : object
        Not connected yet.
    context : DeviceContext
        What the device was built with; checks change its ``may_emit``.
    advance : callable
        Lets lab time pass, s.
    fault : callable or None
        ``fault(name, on)`` sets a fault of the instrument; None where the rig cannot.
    faults : frozenset of str
        Names that `fault` knows.
    emitting : callable or None
        Tells whether light really comes out, apart from what the driver says.
    recipe : OffRecipe or None
        The laser's off recipe, by which a guardian is tried on it.
    """

    device: Any
    context: DeviceContext
    advance: Callable[[float], object] = lambda _seconds: None
    fault: Callable[[str, bool], None] | None = None
    faults: frozenset[str] = frozenset()
    emitting: Callable[[], bool] | None = None
    recipe: OffRecipe | None = None

    def can(self, name: str) -> bool:
        """Return whether this fault can be set."""
        return self.fault is not None and name in self.faults

    def set_fault(self, name: str, on: bool) -> None:
        """Set or clear a fault that `can` said it knows."""
        if self.fault is None:
            raise AssertionError(f"this rig cannot set the fault '{name}'")
        self.fault(name, on)


RigMaker = Callable[[], AbstractContextManager[Rig]]
Check = Callable[[RigMaker], None]


@contextmanager
def connected(make: RigMaker) -> Any:
    """Yield a rig whose device is connected, and disconnect it in the end."""
    with make() as rig:
        rig.device.connect()
        try:
            yield rig
        finally:
            rig.device.disconnect()


def must(condition: object, sentence: str) -> None:
    """Raise AssertionError with the sentence where the condition does not hold."""
    if not condition:
        raise AssertionError(sentence)


def read_once(device: Any) -> dict[str, Any]:
    """Trigger a device, wait, and return the values of its reading by name."""
    status = device.trigger()
    finished(status)
    return {name: reading["value"] for name, reading in device.read().items()}


def finished(status: Any) -> None:
    """Wait for a status and raise what went wrong."""
    error = status.exception(WITHIN_S)
    if error is not None:
        raise error


def refused(call: Callable[[], Any], what: str) -> None:
    """Check that a call is refused with RefusedError, at once or through the status that it returns."""
    try:
        status = call()
        if status is not None:
            finished(status)
    except RefusedError as error:
        must(len(str(error)) > 10, f"{what}: a refusal needs a sentence")
        return
    raise AssertionError(f"{what} was not refused")


def check_constructor_does_no_io(make: RigMaker) -> None:
    """Check this: a device can be built, described and closed without its instrument; reading it needs connect()."""
    with make() as rig:
        device = rig.device
        must(isinstance(device, Instrument), "it lacks connect, disconnect, identity or health")
        must(device.name == rig.context.name, "its name is its role on the bench")
        try:
            finished(device.trigger())
        except DeviceError as error:
            must("connect" in str(error), "reading before connect() must say that it is not connected")
        else:
            raise AssertionError("reading before connect() was not refused")
        device.disconnect()


def check_is_a_bluesky_device(make: RigMaker) -> None:
    """Check this: it is readable, triggerable, stageable, and reads what it describes under names that are its own."""
    with connected(make) as rig:
        device = rig.device
        for protocol in (Readable, Triggerable, Stageable):
            must(isinstance(device, protocol), f"it is not {protocol.__name__}")
        device.stage()
        try:
            values = read_once(device)
            described = device.describe()
            must(set(values) == set(described), "read() and describe() name different things")
            for name, value in values.items():
                must(name.startswith(f"{device.name}_"), f"{name} does not start with the device's name")
                wanted = "string" if isinstance(value, str) else "number"
                kinds = {"number": {"number", "integer", "array"}, "string": {"string"}}[wanted]
                must(described[name]["dtype"] in kinds, f"{name} is described as {described[name]['dtype']}")
            stamps = {reading["timestamp"] for reading in device.read().values()}
            must(max(stamps) <= rig.context.lab_time(), "a timestamp is ahead of lab time")
            configuration = device.read_configuration()
            must(set(configuration) == set(device.describe_configuration()), "configuration and description differ")
            must(device.hints["fields"], "nothing is hinted")
        finally:
            device.unstage()


def check_reason_goes_with_validity(make: RigMaker) -> None:
    """Check this: `valid` is 0 or 1; the reason is empty exactly while it is valid."""
    with connected(make) as rig:
        device = rig.device
        values = read_once(device)
        reason = values[f"{device.name}_reason"]
        flags = [value for name, value in values.items() if name.endswith("_valid")]
        must(flags and set(flags) <= {0, 1}, "validity is 0 or 1")
        must((reason == "") == all(flags), f"validity {flags} does not go with the reason {reason!r}")


def check_identity_and_health(make: RigMaker) -> None:
    """Check this: identity has maker, model, serial and firmware; health has a row for each thing looked at."""
    with connected(make) as rig:
        must({"maker", "model", "serial", "firmware"} <= set(rig.device.identity()), "identity() is not complete")
        rows = list(rig.device.health())
        must(rows, "health() says nothing")
        for row in rows:
            must(row.what and row.detail, "a row of health() says nothing")
            must(row.ok or row.remedy, f"'{row.what}' is not well and says no remedy")


def check_connect_and_disconnect_repeat(make: RigMaker) -> None:
    """Check this: connecting twice is connecting once, disconnecting never raises, and it can be connected again."""
    with make() as rig:
        device = rig.device
        for _time in range(2):
            device.connect()
            device.connect()
            read_once(device)
            device.disconnect()
            device.disconnect()


def check_children_refuse_to_move(make: RigMaker) -> None:
    """Check this: nothing of the device can be moved through its child signals."""
    with connected(make) as rig:
        for name in rig.device.component_names:
            child = getattr(rig.device, name)
            for call in (child.set, child.put):
                try:
                    finished(call(1))
                except NanolabError:
                    continue
                raise AssertionError(f"the child {child.name} can be moved")


def is_invalid(values: dict[str, Any], name: str, flag: str) -> bool:
    """Return whether a reading is recorded as invalid: NaN, and its flag 0."""
    return math.isnan(float(values[name])) and values[flag] == 0


common: tuple[Check, ...] = (
    check_constructor_does_no_io,
    check_is_a_bluesky_device,
    check_reason_goes_with_validity,
    check_identity_and_health,
    check_connect_and_disconnect_repeat,
    check_children_refuse_to_move,
)
"""What every instrument keeps."""
