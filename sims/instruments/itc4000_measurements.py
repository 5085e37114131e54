"""What a Thorlabs 4000-series controller measures: the MEASure commands."""

import numpy as np

from sims.instruments.itc4000_channels import LaserChannel, TecChannel, in_unit, thermistor_ohm
from sims.instruments.scpi import ScpiInstrument
from sims.instruments.scpi_tree import scpi

_OPEN_SENSOR = 9.9e37


class Measurements:
    """Meters of the instrument `box`.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of the instrument; current and temperature have noise.
    responsivity_a_per_w : float
        Of the monitor photodiode, A/W.
    """

    def __init__(
        self,
        box: ScpiInstrument,
        rng: np.random.Generator,
        laser: LaserChannel,
        tec: TecChannel,
        responsivity_a_per_w: float,
    ) -> None:
        self._box = box
        self._world = box.world
        self._number = box.number
        self._current_noise, self._temperature_noise = rng.spawn(2)
        self._laser = laser
        self._tec = tec
        self._responsivity = responsivity_a_per_w

    @scpi("MEASure[:SCALar]:CURRent[1][:DC]?")
    def _measured_current(self) -> str:
        return self._number(self._laser.flowing_a + 1e-5 * float(self._current_noise.standard_normal()))

    @scpi("MEASure[:SCALar]:VOLTage[1][:DC]?")
    def _measured_voltage(self) -> str:
        return self._number(self._world.diode_voltage_v() if self._laser.flowing_a > 0.0 else 0.0)

    @scpi("MEASure[:SCALar]:POWer[1]?")
    def _electrical_power(self) -> str:
        flowing = self._laser.flowing_a
        return self._number(flowing * self._world.diode_voltage_v() if flowing > 0.0 else 0.0)

    @scpi("MEASure[:SCALar]:CURRent2[:DC]?")
    def _photodiode_current(self) -> str:
        return self._number(self._world.photodiode_power_w() * self._responsivity)

    @scpi("MEASure[:SCALar]:POWer2?")
    def _photodiode_power(self) -> str:
        return self._number(self._world.photodiode_power_w())

    @scpi("MEASure[:SCALar]:VOLTage2[:DC]?", "MEASure[:SCALar]:POWer3?")
    def _thermopile(self) -> str:
        return self._number(0.0)  # no thermopile is plugged in

    @scpi("MEASure[:SCALar]:TEMPerature?")
    def _measured_temperature(self) -> str:
        if "temperature_sensor_open" in self._box.active:
            return self._number(_OPEN_SENSOR)
        self._tec.advance(self._world.time_s, self._laser.heat_w(self._world))
        noise = 0.003 * float(self._temperature_noise.standard_normal())
        return self._number(in_unit(self._tec.temperature_c + noise, self._box.values["unit"]))

    @scpi("MEASure[:SCALar]:TSENsor?")
    def _raw_sensor(self) -> str:
        if "temperature_sensor_open" in self._box.active:
            return self._number(_OPEN_SENSOR)
        return self._number(thermistor_ohm(self._tec.temperature_c))

    @scpi("MEASure[:SCALar]:CURRent3[:DC]?")
    def _tec_current(self) -> str:
        return self._number(self._peltier_a())

    @scpi("MEASure[:SCALar]:VOLTage3[:DC]?")
    def _tec_voltage(self) -> str:
        return self._number(2.0 * self._peltier_a())

    @scpi("MEASure[:SCALar]:POWer4?")
    def _tec_power(self) -> str:
        return self._number(2.0 * self._peltier_a() ** 2)

    def _peltier_a(self) -> float:
        return self._tec.current_a(self._laser.heat_w(self._world))
