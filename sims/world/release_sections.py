"""Tables of a world file for release assays: the syringe, the buffer, the pH electrode, the indicator and the Peltier holder.

They change nothing on a bench that serves neither a pump nor a pH meter nor a temperature-controlled holder.
"""

from typing import Annotated

from pydantic import Field

from sims.world.sections import NotNegative, Positive, Section


class Dosing(Section):
    """The syringe in the pump and what it holds; what is dosed comes in at the temperature of the air."""

    syringe_ml: NotNegative = Field(
        default=2.5,
        description="liquid in the syringe at lab time 0, mL; at its end the plunger blocks and the pump stalls",
    )
    syringe_diameter_mm: Positive = Field(
        default=8.70,
        description="true inside diameter of the syringe, mm (nominal 8.66: what is delivered is 0.9 per cent too much)",
    )
    strong_acid_mol_per_l: float = Field(
        default=0.1, description="strong acid in the syringe, mol/L; a strong base is negative, plain water 0"
    )
    capacity_ml: Positive = Field(default=3.5, description="what the cuvette holds, mL; more runs over, well mixed")


class Buffer(Section):
    """The buffer of the fresh liquid: one weak acid and its salt (phosphate by default), activities taken as one."""

    concentration_mmol_per_l: NotNegative = Field(
        default=10.0, description="weak acid and its salt together, mmol/L; 0 is unbuffered"
    )
    pka: Annotated[float, Field(ge=0.0, le=14.0)] = Field(default=7.20, description="its pKa at 25 degC (1)")
    pka_per_k: float = Field(default=-0.0028, description="change of the pKa per kelvin, 1/K (phosphate)")
    initial_ph: Annotated[float, Field(ge=0.0, le=14.0)] = Field(
        default=7.40, description="pH of the fresh liquid at 25 degC (1)"
    )


class PhElectrode(Section):
    """The glass electrode in the liquid; what the meter makes of its voltage is the meter's calibration."""

    slope: Annotated[float, Field(gt=0.5, le=1.1)] = Field(
        default=0.985, description="share of the Nernst slope that the electrode gives (1)"
    )
    zero_mv: float = Field(default=2.0, description="voltage at pH 7, mV")
    drift_mv_per_h: float = Field(default=0.2, description="steady drift of that voltage, mV per hour since lab time 0")
    noise_mv: NotNegative = Field(default=0.1, description="white noise of a reading, mV rms")
    lag_s: Positive = Field(default=2.0, description="time constant of the electrode in stirred liquid, s")
    unstirred_lag_s: Positive = Field(default=20.0, description="the same, mixing included, without stirring, s")
    smallest_ml: NotNegative = Field(default=0.3, description="below this volume the electrode hangs dry, mL")


class Indicator(Section):
    """The pH indicator, m-cresol purple, in the cuvette `indicator`: the fresh medium with the dye in it."""

    concentration_umol_per_l: NotNegative = Field(default=25.0, description="dye in the cuvette, umol/L")
    pk: Annotated[float, Field(ge=0.0, le=14.0)] = Field(
        default=8.24, description="TRUE pK of the dye in this medium at 25 degC (1)"
    )
    pk_per_k: float = Field(default=-0.0135, description="change of the pK per kelvin, 1/K")


class PeltierHolder(Section):
    """The temperature-controlled cuvette holder, which takes the place of the plain one where it is served."""

    heat_capacity_j_per_k: Positive = Field(default=25.0, description="heat capacity of its block, J/K")
    wall_w_per_k: Positive = Field(default=0.09, description="conductance cuvette wall to block, W/K (spring-loaded)")
    air_w_per_k: Positive = Field(default=0.10, description="conductance block to air, W/K")
    max_heat_w: Positive = Field(default=12.0, description="most that the Peltier element pumps either way, W")
    exchanger_k_per_w: NotNegative = Field(
        default=0.6, description="rise of the heat exchanger above air per watt pumped, K/W, with coolant"
    )
    sensor_offset_k: float = Field(default=0.03, description="offset of the sensor in the block, K")
    probe_offset_k: float = Field(default=-0.05, description="offset of the plug-in probe in the liquid, K")
    noise_k: NotNegative = Field(default=0.003, description="white noise of either sensor, K rms")
    full_stirring_rpm: Positive = Field(
        default=400.0,
        description="speed from which the liquid is mixed as [stirring] says for a running stirrer, rpm",
    )
