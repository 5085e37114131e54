"""The dead-man box: a relay in a laser's interlock loop that stays closed only while the guardian toggles (pyserial).

For a laser that has a driver of its own; a laser with a knob, which the box switches on and off, is `gated_laser`. This
driver reads the box, arms it and opens it. It sends no toggles: the guardian does, and stops when a run hangs.

What the read-back proves: the position of the relays' contacts, as far as their second poles tell. It says nothing about
light. The laser's hardware interlock is the safety function, this box is not. On most boards every opening of the port,
a reconnection too, resets the box and so opens its contact.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ophyd import Component, Kind

from devices.deadman_wire import BoxSettings, BoxTransport, BoxWire, refusal, says
from devices.guarded import GuardedInstrument, Seen
from devices.linked import LinkSettings
from devices.signals import Reading
from devices.status import Status
from devices.transport import Transport
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext, OffReport
from nanolab.safety.deadman import NO_TOGGLE_MS, OPEN, BoxState

_INSTEAD = "call arm() or open()"


class DeadmanBox(GuardedInstrument):
    """The box. `arm` closes its contact while toggles arrive, `open` opens it; stop, pause and unstage open it too.

    Readings: ``closed`` (0 or 1, the read-back), ``state``, ``last_opening`` (why), ``trips`` (openings since its reset
    other than by command), ``toggle_age`` (s; NaN where no toggle came within 65 s), ``door`` (1: loop closed), ``valid``,
    ``reason``.
    """

    closed = Component(Reading, value=0, kind=Kind.hinted, instead=_INSTEAD)
    state = Component(Reading, value="", kind=Kind.normal, instead=_INSTEAD)
    last_opening = Component(Reading, value="", kind=Kind.normal)
    trips = Component(Reading, value=0, kind=Kind.normal)
    toggle_age = Component(Reading, value=math.nan, units="s", kind=Kind.normal)
    door = Component(Reading, value=0, kind=Kind.normal)
    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)
    serial = Component(Reading, value="", kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = BoxSettings
    models = ("DEADMAN-BOX",)
    role = "deadman"
    safe_message = OPEN

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self._wire = BoxWire(self._link, context.name)

    def arm(self) -> Status:
        """Close the contact; done when it reads closed.

        RefusedError where it is held back (paused, opened by `open`) or permission is missing. The status fails with
        RefusedError where the box refuses (no toggles, door open, FAULT), with DeviceError where the contact does not move.
        """
        return self._move(True)

    def open(self) -> OffReport:
        """Open the contact at once and read it back. Never raises; closed again only after `stage` or `resume`."""
        return self._hold()

    # ---- in the worker

    def _make_transport(self) -> Transport:
        return BoxTransport(self.context.address, self.settings.boot.value)

    def _read_identity(self) -> dict[str, str]:
        return self._checked_identity(self._wire.identity())

    def _configure(self) -> None:
        self._update({"serial": self._identity["serial"]})

    def _look(self) -> Seen:
        return seen(self._wire.look())

    def _tell_safe(self) -> Seen:
        return seen(self._wire.open())

    def _switch_on(self) -> Seen:
        return seen(self._wire.arm())

    def _refuse_unless_ready(self) -> None:
        problem = refusal(self._wire.look())
        if problem:
            raise RefusedError(f"{self.name}: the dead-man box cannot be closed: {problem}")

    def _by_hand(self) -> str:
        return BY_HAND

    def _note(self, seen: Seen) -> None:
        state: BoxState = seen.raw
        reason = doubt(state, self._wanted)
        age = math.nan if state.toggle_age_ms == NO_TOGGLE_MS else state.toggle_age_ms / 1000.0
        self._update(
            {
                "closed": int(state.may_pass_light), "state": state.state, "last_opening": state.why(),
                "trips": state.trips, "toggle_age": age, "door": int(state.door_closed),
                "valid": int(not reason), "reason": reason,
            }
        )  # fmt: skip

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        return box_health(self.name, self._wire)


BY_HAND = (
    "Turn the laser off at its key or its mains switch, make sure that no light comes out before going near, and look at "
    "the relays of the dead-man box."
)


def seen(state: BoxState) -> Seen:
    """Return one look at the box."""
    return Seen(not state.may_pass_light, says(state), state)


def doubt(state: BoxState, wanted: bool) -> str:
    """Return why the contact is not as it was commanded, empty where it is."""
    if state.state == "FAULT":
        return f"the dead-man box is in FAULT: {state.why()}"
    if wanted and not (state.contact_closed and state.coil):
        return f"the contact is open though it was closed: {state.why()}"
    if not wanted and state.may_pass_light:
        return "the contact is closed though it was told to be open"
    return ""


def box_health(name: str, wire: BoxWire) -> Sequence[tuple[str, Callable[[], str], str]]:
    """Return what `nanolab bench doctor` looks at."""

    def contact() -> str:
        state = wire.look()
        if state.state == "FAULT":
            raise DeviceError(name, f"the dead-man box is in FAULT: {state.why()}")
        if state.may_pass_light:
            raise DeviceError(name, says(state))
        return f"{says(state)}; {state.trips} trips; opened last because {state.why()}"

    def door() -> str:
        if not wire.look().door_closed:
            raise DeviceError(name, "the door loop of the dead-man box is open")
        return "closed"

    return (
        ("contact of the dead-man box", contact, "Open it, and look at its relays if it stays closed."),
        ("door loop of the dead-man box", door, "Close the door, or bridge the loop where there is no switch."),
    )
