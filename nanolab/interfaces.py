"""What a plan may ask of an instrument, whoever made it.

Every device is also a plain Bluesky device (readable, stageable). Its name on the bench is its role
(``laser``, ``thermocouple``, ``spectrometer``, ``powermeter``, ``shutter``, ``deadman``, ``cuvette``), and its readings are named
``<role>_<what>`` as listed in each protocol, so that an analysis finds them whichever instrument gave them.

An invalid reading is data: the value is NaN, ``<role>_valid`` is 0, ``<role>_reason`` says why in a few words
(an empty string while valid).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from bluesky.protocols import Status

ROLES = ("laser", "thermocouple", "spectrometer", "powermeter", "shutter", "deadman", "cuvette")


@dataclass(frozen=True)
class OffReport:
    """What was seen after the laser was told to go off.

    ``confirmed`` only if the instrument itself reported no emission after the command.
    """

    confirmed: bool
    detail: str
    by_hand: str = ""

    def words(self) -> str:
        """Say it in one line: confirmed or not, what was seen, what to do by hand."""
        detail = self.detail.rstrip(".")
        if self.confirmed:
            return f"OFF ({detail})"
        by_hand = self.by_hand.removeprefix("OFF NOT CONFIRMED.").strip()
        return f"OFF NOT CONFIRMED: {detail}. {by_hand}".rstrip()


@dataclass(frozen=True)
class HealthCheck:
    """One row of `nanolab bench doctor`: what was looked at, whether it is well, and how to mend it."""

    what: str
    ok: bool
    detail: str
    remedy: str = ""


@dataclass
class DeviceContext:
    """What a driver is given when the bench builds it.

    Parameters
    ----------
    name : str
        The role, which is also the ophyd name.
    address : str
        Where the instrument is: a VISA resource, a serial port, ``tcp://host:port``.
    settings : mapping
        The driver's own table of bench.toml, already checked by the driver's ``Settings`` model.
    simulated : bool
        True only where this process itself attached the address to a simulated instrument.
    lab_time : callable
        Returns lab time in seconds; used as the timestamp of every reading.
    wall_clock : bool
        False where lab time is not wall time: checks of the kind "an exposure takes its time" are then idle.
    may_emit : callable
        Asked by a laser before every emission: returns None, or the reason why it is refused.
    """

    name: str
    address: str
    settings: Any
    simulated: bool
    lab_time: Callable[[], float]
    wall_clock: bool = True
    may_emit: Callable[[], str | None] = field(default=lambda: "no permission to emit was given to this driver")


@runtime_checkable
class Instrument(Protocol):
    """What the bench and doctor ask of every driver."""

    name: str

    def connect(self) -> None:
        """Open the link, read the identity and check it against the bench file. DeviceError if it fails."""

    def disconnect(self) -> None:
        """Leave the instrument safe and close the link. Never raises."""

    def identity(self) -> Mapping[str, str]:
        """Return maker, model, serial and firmware as read when connecting."""

    def health(self) -> Sequence[HealthCheck]:
        """Ask the instrument how it is."""


@runtime_checkable
class Laser(Instrument, Protocol):
    """A laser whose value is its optical power at the sample plane, in watts, by its calibration.

    Readings: ``laser_power`` (set power, W; 0 when not emitting), ``laser_emitting`` (0 or 1, read back),
    ``laser_current`` (A, measured), ``laser_valid``, ``laser_reason``. A laser that needs seconds or minutes of lab time
    before it emits (a delay that regulations ask for, a warm-up) finishes `set` when its start is under way, has a
    signal ``starting``, and reads ``laser_starting`` 1 until light comes.

    A laser that cannot choose its power declares ``powers_w`` (W, ascending): it takes 0 and these, and refuses what
    lies between. One that does not measure its current declares ``measures_current = False`` and reads NaN.
    """

    wavelength_nm: float
    max_power_w: float

    def set(self, power_w: float) -> Status:
        """Emit this power, or go off and verify it (0). Done when the read-back agrees."""

    def check_value(self, power_w: float) -> None:
        """Raise where this power is outside the limits."""

    def off(self) -> OffReport:
        """Turn emission off at once, read it back, and report. Never raises."""

    def stop(self, *, success: bool = False) -> None:
        """Turn emission off, verified (RunEngine calls this)."""

    def pause(self) -> None:
        """Turn emission off, verified (RunEngine calls this)."""

    def resume(self) -> None:
        """Allow emission again after a fresh check of the interlock."""


@runtime_checkable
class Shutter(Instrument, Protocol):
    """Lets the beam pass (1) or blocks it (0).

    Readings: ``shutter_open`` (0 or 1, by the blade's own sensor), ``shutter_valid``, ``shutter_reason``. Closing it does
    not turn the laser off.
    """

    def set(self, is_open: float) -> Status:
        """Open (1), or close and verify it (0). Done when the blade's sensor agrees."""

    def check_value(self, is_open: float) -> None:
        """Raise where this is neither 0 nor 1."""

    def shut(self) -> OffReport:
        """Close at once, read the blade back, and report. Never raises."""

    def stop(self, *, success: bool = False) -> None:
        """Close, verified (RunEngine calls this)."""

    def pause(self) -> None:
        """Close, verified (RunEngine calls this)."""

    def resume(self) -> None:
        """Allow opening again after a fresh check of the interlock."""


@runtime_checkable
class Thermometer(Instrument, Protocol):
    """Temperatures in degC: ``thermocouple_<channel>``, one of them ``thermocouple_sample``.

    Each channel has ``thermocouple_<channel>_valid`` and the whole ``thermocouple_reason``.
    """

    channel_names: Sequence[str]


@runtime_checkable
class Spectrometer(Instrument, Protocol):
    """Counts against wavelength.

    Readings: ``spectrometer_counts`` (n_pixels,), ``spectrometer_saturated`` (number of pixels at full
    scale), ``spectrometer_valid``, ``spectrometer_reason``. Configuration: ``spectrometer_wavelengths`` (n_pixels,) nm,
    ``spectrometer_integration_time`` s, ``spectrometer_averages``, ``spectrometer_full_scale`` counts.
    """

    def lamp(self, on: bool) -> Status:
        """Switch the strobe output that drives the lamp; the first spectrum afterwards is discarded."""


@runtime_checkable
class PowerMeter(Instrument, Protocol):
    """Optical power in watts as the meter reads it.

    Readings: ``powermeter_power``, ``powermeter_valid``, ``powermeter_reason``. ``position`` says what is
    measured: ``sample_plane``, ``behind_cuvette`` or ``pickoff``.
    """

    position: str
    to_sample_plane: float


@runtime_checkable
class CuvetteChanger(Protocol):
    """Puts a cuvette into the beam: ``sample``, ``blank``, ``empty`` or ``reference``. Reading: ``cuvette``."""

    name: str

    def set(self, cuvette: str) -> Status:
        """Exchange the cuvette: a prompt on a real bench, a command on the simulated one."""
