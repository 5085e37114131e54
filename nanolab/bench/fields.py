"""Kinds of quantities in bench and sample files: each reads text such as "1.00±0.01 mL" into its own unit."""

from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import BeforeValidator

from nanolab.quantities import Quantity, quantity_reader


def _reader(
    unit: str, low: float = float("-inf"), high: float = float("inf"), exclusive_low: bool = False
) -> Callable[[object], object]:
    read = quantity_reader(unit, low=low, high=high, exclusive_low=exclusive_low)

    def validate(value: object) -> Quantity:
        # the form in which quantities stand in a run's start document
        if isinstance(value, Mapping) and {"value", "unit"} <= value.keys():
            stored = Quantity(float(value["value"]), str(value["unit"]), value.get("standard_uncertainty"))
            return read(stored if stored.unit == unit else str(stored))
        return read(value)

    return validate


Power = Annotated[Quantity, BeforeValidator(_reader("W", 0.0, exclusive_low=True))]
Temperature = Annotated[Quantity, BeforeValidator(_reader("degC", -20.0, 300.0))]
Duration = Annotated[Quantity, BeforeValidator(_reader("s", 0.0, exclusive_low=True))]
DurationOrNone = Annotated[Quantity, BeforeValidator(_reader("s", 0.0))]
TemperatureChange = Annotated[Quantity, BeforeValidator(_reader("K", 0.0, exclusive_low=True))]
TemperatureRate = Annotated[Quantity, BeforeValidator(_reader("K/s", 0.0, exclusive_low=True))]
Heating = Annotated[Quantity, BeforeValidator(_reader("K/J", 0.0))]
ThermalDose = Annotated[Quantity, BeforeValidator(_reader("min", 0.0, exclusive_low=True))]
Energy = Annotated[Quantity, BeforeValidator(_reader("J", 0.0, exclusive_low=True))]
Volume = Annotated[Quantity, BeforeValidator(_reader("mL", 0.0, exclusive_low=True))]
Length = Annotated[Quantity, BeforeValidator(_reader("cm", 0.0, exclusive_low=True))]
ParticleLength = Annotated[Quantity, BeforeValidator(_reader("nm", 0.0, exclusive_low=True))]
Absorbance = Annotated[Quantity, BeforeValidator(_reader("1", 0.0, 6.0))]
Share = Annotated[Quantity, BeforeValidator(_reader("1", 0.0, 1.0))]
PositiveShare = Annotated[Quantity, BeforeValidator(_reader("1", 0.0, 1.0, exclusive_low=True))]
Efficiency = Annotated[Quantity, BeforeValidator(_reader("1", 0.0, 1.2, exclusive_low=True))]
Gain = Annotated[Quantity, BeforeValidator(_reader("1", 0.5, 2.0))]
HeatCapacity = Annotated[Quantity, BeforeValidator(_reader("J/K", 0.0, exclusive_low=True))]
HeatLoss = Annotated[Quantity, BeforeValidator(_reader("W/K", 0.0, exclusive_low=True))]
Percent = Annotated[Quantity, BeforeValidator(_reader("%", 0.0, 100.0))]
Celsius = Annotated[Quantity, BeforeValidator(_reader("degC", 0.0, 100.0))]
PerHour = Annotated[Quantity, BeforeValidator(_reader("1/h", 0.0, exclusive_low=True))]
ShareLost = Annotated[Quantity, BeforeValidator(_reader("1/h", 0.0, 0.2))]
PerMinute = Annotated[Quantity, BeforeValidator(_reader("1/min", 0.0, exclusive_low=True))]
PerSecond = Annotated[Quantity, BeforeValidator(_reader("1/s", 0.0, exclusive_low=True))]
PerMolarHour = Annotated[Quantity, BeforeValidator(_reader("L/mol/h", 0.0))]
MolarEnergy = Annotated[Quantity, BeforeValidator(_reader("kJ/mol", 0.0))]
Concentration = Annotated[Quantity, BeforeValidator(_reader("umol/L", 0.0, exclusive_low=True))]
PhDifference = Annotated[Quantity, BeforeValidator(_reader("1", 0.0, 1.0))]
Area = Annotated[Quantity, BeforeValidator(_reader("cm2", 0.0, exclusive_low=True))]
PerFluence = Annotated[Quantity, BeforeValidator(_reader("cm2/J", 0.0))]
Pk = Annotated[Quantity, BeforeValidator(_reader("1", 0.0, 14.0))]
MassConcentration = Annotated[Quantity, BeforeValidator(_reader("mg/L", 0.0))]
Mass = Annotated[Quantity, BeforeValidator(_reader("g", 0.0, exclusive_low=True))]
