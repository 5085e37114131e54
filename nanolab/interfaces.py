"""What a plan may ask of an instrument, whoever made it.

Every device is also a plain Bluesky device (readable, stageable). Its name on the bench is its role
(``laser``, ``thermocouple``, ``spectrometer``, ``powermeter``, ``shutter``, ``deadman``, ``pump``, ``cuvette_holder``, ``ph``,
``cuvette``), and its readings are named
``<role>_<what>`` as listed in each protocol, so that an analysis finds them whichever instrument gave them.

An invalid reading is data: the value is NaN, ``<role>_valid`` is 0, ``<role>_reason`` says why in a few words
(an empty string while valid).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from bluesky.protocols import Status

Reading = Mapping[str, Mapping[str, Any]]
"""A reading as Bluesky takes it: by name, ``value`` and ``timestamp`` (lab time in s)."""

ROLES = (
    "laser", "thermocouple", "spectrometer", "powermeter", "shutter", "deadman", "pump", "cuvette_holder", "ph", "cuvette",
)  # fmt: skip


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
    judge : callable
        Handed every reading by thermometers and lasers, in the driver's own worker, as soon as it is there. It may raise
        LimitTripError, the laser being off by then; the driver lets that fail the status. A reading that failed is handed over
        as ``{"<name>_error": ...}`` before the driver raises its own error.
    going_off : callable
        Told by a laser just before it sends off: seeing it off may take longer than a lease of the guardian.
    seen_off : callable
        Returns what the guardian saw when it turned the laser off for good, by which the driver's own way is closed; None
        while that is open. Given so many wall seconds it waits for that: a connection that has just broken may be the sign of it.
    """

    name: str
    address: str
    settings: Any
    simulated: bool
    lab_time: Callable[[], float]
    wall_clock: bool = True
    may_emit: Callable[[], str | None] = field(default=lambda: "no permission to emit was given to this driver")
    judge: Callable[[Reading], None] = field(default=lambda _reading: None)
    going_off: Callable[[], None] = field(default=lambda: None)
    seen_off: Callable[[float], OffReport | None] = field(default=lambda _within_s: None)

    def failed(self, error: Exception) -> None:
        """Hand over that a reading failed. May raise LimitTripError, as `judge` does."""
        self.judge({f"{self.name}_error": {"value": str(error), "timestamp": self.lab_time()}})

    def about_to_emit(self, power_w: float) -> None:
        """Hand over that light may come out from now on: a laser calls this just before. May raise LimitTripError."""
        self._emission(1, power_w, f"{self.name}_announced")

    def went_off(self) -> None:
        """Hand over that the laser was seen off: a laser calls this as soon as it was. Never waits for a judgement."""
        self._emission(0, 0.0)

    def _emission(self, emitting: int, power_w: float, *marks: str) -> None:
        now = self.lab_time()
        values = {f"{self.name}_emitting": emitting, f"{self.name}_power": power_w, **dict.fromkeys(marks, 1)}
        self.judge({key: {"value": value, "timestamp": now} for key, value in values.items()})


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
class Pump(Instrument, Protocol):
    """A dosing pump whose value is the volume that it has infused since it was connected, in mL, by its own counter.

    Readings: ``pump_dispensed`` (mL infused), ``pump_withdrawn`` (mL), ``pump_pumping`` (0 or 1), ``pump_rate`` (mL/min as
    set), ``pump_status`` (a word: ``infusing``, ``stopped``, ``paused`` ...), ``pump_valid``, ``pump_reason``.

    `set` and `dispense` are done when the pump is seen to run; a plan polls ``pump_pumping`` and ``pump_dispensed`` for
    the end (`plans.dispensing`). While it pumps it must be read at least every `read_within_s` of lab time: whoever
    stops reading stops the pump (its own watchdog does, if it has one).
    """

    max_volume_ml: float
    max_rate_ml_per_min: float
    read_within_s: float

    def set(self, total_ml: float, *, rate_ml_per_min: float | None = None) -> Status:
        """Infuse until this total; done once it runs, or at once where the total is reached."""

    def check_value(self, total_ml: float) -> None:
        """Raise where this total is outside the limits."""

    def dispense(self, volume_ml: float, rate_ml_per_min: float) -> Status:
        """Infuse this volume (negative: withdraw) at this rate; done once it runs."""

    def stop(self, *, success: bool = False) -> None:
        """Stop pumping, read back. Never raises: the reading says so where that was not seen."""

    def pause(self) -> None:
        """Stop pumping and remember the order."""

    def resume(self) -> None:
        """Go on with an order that `pause` interrupted."""

    def acknowledge(self, reason: str) -> None:
        """Release the pump after an alarm, with a person's reason; until then it refuses to run."""


@runtime_checkable
class TemperatureController(Instrument, Protocol):
    """A temperature-controlled cuvette holder whose value is the target of its block, in degC.

    Readings: ``cuvette_holder_temperature`` (block, degC), ``cuvette_holder_target`` (degC), ``cuvette_holder_probe``
    (degC in the liquid; NaN without a probe), ``cuvette_holder_stable`` (0 or 1, the controller's own view of the block: the
    sample lags behind), ``cuvette_holder_controlling`` (0 or 1), ``cuvette_holder_stirring`` (rpm; 0 while at rest),
    ``cuvette_holder_valid``, ``cuvette_holder_reason``.

    `set` is done when target and control read back; a plan polls for the temperature (`plans.thermostat`).
    """

    limits: tuple[float, float]

    def set(self, target_c: float, *, ramp_k_per_min: float | None = None) -> Status:
        """Control to this temperature, at full drive or at a rate; done when read back."""

    def check_value(self, target_c: float) -> None:
        """Raise where this temperature is outside the limits."""

    def stir(self, speed_rpm: float) -> Status:
        """Stir at this speed, or not (0); done when read back."""

    def off(self) -> OffReport:
        """Switch temperature control and stirrer off and read it back. Never raises."""

    def stop(self, *, success: bool = False) -> None:
        """Stop heating towards a target that is not reached."""


@runtime_checkable
class PhProbe(Instrument, Protocol):
    """A pH meter.

    Readings: ``ph_value`` (pH), ``ph_compensation`` (degC that the meter compensates for), ``ph_valid``, ``ph_reason``.
    Configuration: ``ph_calibration_points``, ``ph_acid_slope`` and ``ph_base_slope`` (per cent of the Nernst slope),
    ``ph_offset`` (mV).
    """

    def compensate(self, temperature_c: float) -> Status:
        """Tell the meter the temperature of the liquid; done when read back."""


@runtime_checkable
class CuvetteChanger(Protocol):
    """Puts a cuvette into the beam: ``sample``, ``blank``, ``empty`` or ``reference``. Reading: ``cuvette``.

    For release assays also ``medium``, ``dialysis``, ``free``, ``carrier``, ``standard``, ``filtrate``, ``lysate``, ``indicator``. What is pipetted
    into the cuvette where it stands (``enzyme``, ``surfactant``) goes through a device of the same kind, ``addition``. What is
    withdrawn from it goes through ``aliquot``, which is set to mL.
    """

    name: str

    def set(self, cuvette: str) -> Status:
        """Exchange the cuvette: a prompt on a real bench, a command on the simulated one."""
