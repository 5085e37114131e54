"""Thorlabs ITC4001 and ITC4005 laser diode controllers with TEC (pyvisa, SCPI).

The value of the laser is its optical power at the sample plane, by the calibration in bench.toml:
P = slope * (I - threshold). Emission needs: a power within the limits, permission from outside (`may_emit`), no
protection active, limit and current read back, and OUTP1? and the operation word saying on.

`set` is done as soon as the read-back says that the output is on. The current then still ramps (about a second of
lab time), and the diode's temperature may still settle: a plan waits for that by polling ``laser_current`` and
``laser_temperature``. A driver never waits for lab time, because on a virtual clock nobody would advance it.
"""

import math
from typing import Any, ClassVar

from ophyd import Component, Kind

from devices.instrument import ScpiInstrument
from devices.itc4000_settings import ITC4001Settings, ITC4005Settings
from devices.itc4000_wire import ITC4000Wire
from devices.itc4000_words import Look, words
from devices.laser import LaserInstrument
from devices.linked import LinkSettings
from devices.signals import Reading
from nanolab.interfaces import DeviceContext

OFF_CONFIRMED_WITHIN_S = 1.0
"""Wall time in which the read-back must say off; the current of a real diode takes a moment to fall."""

SOFT_START_S = 3.0
"""Lab time after which the measured current must agree with the set one (soft start takes about 1 s)."""


class _ITC4000(LaserInstrument, ScpiInstrument):
    """What both models share. Keeps `nanolab.interfaces.Laser`."""

    current_limit = Component(Reading, value=math.nan, units="A", kind=Kind.config)
    threshold_current = Component(Reading, value=math.nan, units="A", kind=Kind.config)
    slope = Component(Reading, value=math.nan, units="W/A", kind=Kind.config)
    tec_temperature = Component(Reading, value=math.nan, units="degC", kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = ITC4001Settings

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self._wire: ITC4000Wire = ITC4000Wire(self._scpi, self.settings)
        self._before: tuple[float, float] | None = None

    @property
    def _off_confirmed_within_s(self) -> float:
        return OFF_CONFIRMED_WITHIN_S

    def _doubt(self, look: Look) -> str:
        wanted = self._commanded_w
        if not math.isfinite(look.current_a):
            return "the diode current cannot be read"
        if look.emitting and wanted == 0.0:
            return f"emits though it is told to be off ({look.says()})"
        if wanted > 0.0 and not look.output:
            return words(look.condition) or f"its output is off though {wanted:g} W is set"
        if look.emitting and look.condition:
            return words(look.condition)
        settled = self.context.lab_time() - self._commanded_at > SOFT_START_S
        set_a = self.settings.current_for(wanted)
        if look.emitting and settled and abs(look.current_a - set_a) > max(0.02 * set_a, 3 * self._wire.tolerance_a):
            return f"the diode current is {look.current_a:.4f} A, {set_a:.4f} A is set"
        return ""

    # ---- settings (in the worker)

    def _configure(self) -> None:
        self._scpi.ask("UNIT:TEMP C")
        self._publish("current_limit", "threshold_current", "slope", "tec_temperature")

    def _stage_settings(self) -> None:
        """Remember current limit and set temperature, go off, start the TEC (which stays on afterwards)."""
        limit, setpoint = self._scpi.ask("SOUR:CURR:LIM?", "SOUR2:TEMP?")
        self._before = (self._scpi.number(limit, "SOUR:CURR:LIM?"), self._scpi.number(setpoint, "SOUR2:TEMP?"))
        self._off_or_raise()
        self._wire.start_tec()

    def _restore(self) -> None:
        if self._before is not None:
            limit, setpoint = self._before
            self._before = None
            self._scpi.ask(f"SOUR:CURR:LIM {limit:.5f}", f"SOUR2:TEMP {setpoint:.3f}")


class ThorlabsITC4001(_ITC4000):
    """Thorlabs ITC4001: 1 A laser diode controller with TEC. Keeps `nanolab.interfaces.Laser`."""

    Settings = ITC4001Settings
    models = ("ITC4001",)


class ThorlabsITC4005(_ITC4000):
    """Thorlabs ITC4005: 5 A laser diode controller with TEC. Keeps `nanolab.interfaces.Laser`."""

    Settings = ITC4005Settings
    models = ("ITC4005",)
