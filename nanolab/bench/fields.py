"""Kinds of quantities in bench and sample files: each reads text such as "1.00±0.01 mL" into its own unit."""

from typing import Annotated

from pydantic import BeforeValidator

from nanolab.quantities import Quantity, quantity_reader

Power = Annotated[Quantity, BeforeValidator(quantity_reader("W", low=0.0, exclusive_low=True))]
Temperature = Annotated[Quantity, BeforeValidator(quantity_reader("degC", low=-20.0, high=300.0))]
Duration = Annotated[Quantity, BeforeValidator(quantity_reader("s", low=0.0, exclusive_low=True))]
Energy = Annotated[Quantity, BeforeValidator(quantity_reader("J", low=0.0, exclusive_low=True))]
Volume = Annotated[Quantity, BeforeValidator(quantity_reader("mL", low=0.0, exclusive_low=True))]
Length = Annotated[Quantity, BeforeValidator(quantity_reader("cm", low=0.0, exclusive_low=True))]
ParticleLength = Annotated[Quantity, BeforeValidator(quantity_reader("nm", low=0.0, exclusive_low=True))]
Absorbance = Annotated[Quantity, BeforeValidator(quantity_reader("1", low=0.0, high=6.0))]
Share = Annotated[Quantity, BeforeValidator(quantity_reader("1", low=0.0, high=1.0))]
PositiveShare = Annotated[Quantity, BeforeValidator(quantity_reader("1", low=0.0, high=1.0, exclusive_low=True))]
Efficiency = Annotated[Quantity, BeforeValidator(quantity_reader("1", low=0.0, high=1.2, exclusive_low=True))]
Gain = Annotated[Quantity, BeforeValidator(quantity_reader("1", low=0.5, high=2.0))]
HeatCapacity = Annotated[Quantity, BeforeValidator(quantity_reader("J/K", low=0.0, exclusive_low=True))]
HeatLoss = Annotated[Quantity, BeforeValidator(quantity_reader("W/K", low=0.0, exclusive_low=True))]
MassConcentration = Annotated[Quantity, BeforeValidator(quantity_reader("mg/L", low=0.0))]
