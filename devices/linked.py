"""What every driver over one link shares: settings, connecting with an identity check, health, units in the settings."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from ophyd import Device
from pydantic import BaseModel, BeforeValidator, ConfigDict

from devices.link import GaveWayError, Link
from devices.signals import Reading
from devices.status import Status
from devices.transport import Transport
from nanolab.errors import DeviceError, NanolabError
from nanolab.interfaces import DeviceContext, HealthCheck
from nanolab.quantities import Quantity, quantity_reader


def quantity(unit: str, low: float = -math.inf, high: float = math.inf, *, above: bool = False) -> BeforeValidator:
    """Return the checker of a quantity in `unit` within limits (the lower one excluded where `above`)."""
    return BeforeValidator(quantity_reader(unit, low=low, high=high, exclusive_low=above))


_log = logging.getLogger(__name__)

IDENTITY = ("maker", "model", "serial", "firmware")
"""What an identity holds; empty text where the instrument does not tell."""


class LinkSettings(BaseModel):
    """Settings that every driver over a link has."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)

    serial: str | None = None
    """Serial number; connecting to another instrument is an error."""
    deadline: Annotated[Quantity, quantity("s", 0.0, 60.0, above=True)] = Quantity(2.0, "s")
    """Longest wait for one exchange, wall time."""


class LinkedInstrument(Device):
    """An ophyd device over one link. No I/O before `connect`.

    Subclasses name their ``models`` and implement ``_make_transport``, ``_read_identity`` and ``_measure`` (one reading:
    updates the signals), and, where needed, ``_configure`` (runs once after the identity check, and again where an audit
    finds settings lost).
    """

    Settings: ClassVar[type[LinkSettings]] = LinkSettings
    models: ClassVar[tuple[str, ...]] = ()

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__("", name=context.name, **kwargs)
        self.context = context
        self.settings: Any = context.settings
        kind = "simulated" if context.simulated else "instrument"
        self.source = f"{kind}:{context.address}"
        self._identity: dict[str, str] = {}
        self._link = Link(
            context.name, self._make_transport, deadline_s=self.settings.deadline.value, audit=self._audit
        )

    # ---- nanolab.interfaces.Instrument

    def connect(self) -> None:
        """Open the link, read the identity and check it against the bench file; DeviceError, nothing left open."""
        if self._link.is_open:
            return
        self._link.open()
        try:
            self._link.call(self._first_look)
        except NanolabError:
            self._link.close()
            raise

    def disconnect(self) -> None:
        """Leave the instrument safe and close the link. Never raises."""
        self._link.close()

    @property
    def connected_to_instrument(self) -> bool:
        """True between `connect` and `disconnect`."""
        return self._link.is_open

    def identity(self) -> Mapping[str, str]:
        """Return maker, model, serial and firmware as read when connecting (empty before)."""
        return dict(self._identity)

    def health(self) -> Sequence[HealthCheck]:
        """Ask the instrument how it is; never raises: what fails is a row of the answer."""
        return [
            self._checked("identity", self._check_identity, "Check the address in bench.toml."),
            *(self._checked(what, look, remedy) for what, look, remedy in self._health_looks()),
        ]

    # ---- bluesky

    def trigger(self) -> Status:
        """Take one reading; the status is finished by the link's worker, once the interlock has judged it."""
        return self._link.submit(self._measure_and_judge)

    # ---- for subclasses

    def _make_transport(self) -> Transport:
        raise NotImplementedError

    def _read_identity(self) -> dict[str, str]:
        """Ask for IDENTITY; `checked_identity` compares it with the bench file. In the worker."""
        raise NotImplementedError

    def _measure(self) -> None:
        raise NotImplementedError

    def _configure(self) -> None:
        """Bring the instrument into the state that the settings ask for, read back. In the worker."""

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        """Return (what, look, remedy): `look` returns a detail or raises NanolabError. In the worker."""
        return ()

    def _give_back(self, restore: Callable[[], None]) -> None:
        """Write saved settings back. A failure is told and ends nothing: the readings are complete by then."""
        if self.context.seen_off(0.0) is not None:
            return  # the guardian has closed the way; the instrument keeps the settings of the run
        try:
            self._link.call(restore)
        except DeviceError as error:
            _log.warning("%s: its settings could not be given back: %s", self.name, error)

    def _update(self, values: Mapping[str, Any]) -> None:
        """Give signals their new values, all stamped with lab time now."""
        now = self.context.lab_time()
        for attribute, value in values.items():
            signal: Reading = getattr(self, attribute)
            signal.update(value, now)

    # ---- in the worker

    def _measure_and_judge(self) -> None:
        """Measure and hand the reading to the interlock: here, so that it is judged in any RunEngine."""
        try:
            self._measure()
        except GaveWayError:
            raise  # nothing failed: a command to go off came first
        except NanolabError as error:
            self.context.failed(error)
            raise
        self.context.judge(self.read())

    def _first_look(self) -> None:
        self._identity = self._read_identity()
        self._configure()

    def _audit(self) -> None:
        """Look after a reconnection whether it is still the same instrument."""
        self._check_identity()

    def _check_identity(self) -> str:
        now = self._read_identity()
        if self._identity and now["serial"] != self._identity["serial"]:
            raise DeviceError(
                self.name,
                f"another instrument answers now: serial {now['serial']}, it was {self._identity['serial']}",
            )
        return " ".join(now[key] for key in IDENTITY if now[key])

    def _checked_identity(self, found: dict[str, str]) -> dict[str, str]:
        """Return an identity; DeviceError where model or serial number are not those of driver and bench file."""
        if self.models and found["model"].upper() not in self.models:
            raise DeviceError(
                self.name,
                f"a {found['maker']} {found['model']} (serial {found['serial']}) answers at {self.context.address}, "
                f"but {' or '.join(self.models)} is wanted",
                remedy="Correct the address or the driver in bench.toml.",
            )
        wanted = self.settings.serial
        if wanted is not None and wanted != found["serial"]:
            raise DeviceError(
                self.name,
                f"serial number {found['serial']} answers at {self.context.address}, but {wanted} is wanted",
                remedy="Correct the address or the serial number in bench.toml.",
            )
        return found

    def _checked(self, what: str, look: Callable[[], str], remedy: str) -> HealthCheck:
        try:
            return HealthCheck(what, True, str(self._link.call(look)))
        except NanolabError as error:
            return HealthCheck(what, False, str(error), remedy)
