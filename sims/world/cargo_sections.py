"""Tables of a world file for what is released: the cargo, its carrier, the membrane, the enzyme, the preparation.

They change nothing in the cuvettes of the photothermal assay. Rates hold at 37 degC in the fresh medium unless said.
"""

from typing import Annotated

from pydantic import Field, model_validator

from sims.world.sections import NotNegative, Positive, Section

Percent = Annotated[float, Field(ge=0.0, le=100.0)]


class CargoTable(Section):
    """The cargo, a dye like doxorubicin: how much, how it absorbs, how it suffers from light."""

    dose_umol_per_l: Positive = Field(
        default=12.2, description="all cargo over the fresh volume of the cuvette, umol/L (nominal 12)"
    )
    free_dose_umol_per_l: Positive = Field(
        default=12.0, description="the same of the free cargo that is filled in for comparison, umol/L"
    )
    absorption_per_mmol_cm: Positive = Field(
        default=11.0, description="decadic absorption of the monomer at 480 nm, L/(mmol cm)"
    )
    dimer_per_mol: NotNegative = Field(default=1.3e4, description="association constant of the dimer, L/mol")
    dimer_absorption: NotNegative = Field(
        default=0.76, description="absorption of a molecule in the dimer over that of a monomer, at their maxima (1)"
    )
    bleaching_per_min: NotNegative = Field(
        default=0.002, description="share of the free cargo bleached per minute under the assay light, 1/min"
    )
    loss_per_h: NotNegative = Field(
        default=0.0, description="share of the free cargo lost per hour in the dark (hydrolysis, walls), 1/h"
    )


class CarrierTable(Section):
    """The carrier and every way in which it lets its cargo go; the ways add up."""

    burst: Percent = Field(default=12.0, description="share of the dose on the surface: leaves first, %")
    k_burst: NotNegative = Field(default=2.0, description="its rate, 1/h")
    plateau: Percent = Field(default=88.0, description="share of the dose that can leave at all, burst included, %")
    k_release: NotNegative = Field(default=0.06, description="rate of the rest of it without any trigger, 1/h")
    activation_energy: NotNegative = Field(
        default=80.0, description="activation energy of these rates and that of acid, kJ/mol"
    )
    k_acid: NotNegative = Field(
        default=2.0e4,
        description="specific acid: rate added per mol/L of hydrogen ions beyond the fresh medium's, L/(mol h)",
    )
    k_switch: NotNegative = Field(
        default=0.0, description="rate of a carrier that is wholly protonated (swells), 1/h; 0: it does not"
    )
    switch_pka: float = Field(default=6.0, description="pH at which half of it is protonated (1)")
    switch_steepness: Positive = Field(default=2.0, description="steepness of that switch, 1 to 4 (1)")
    transition_temperature: float = Field(default=41.0, description="middle of the carrier's transition, degC")
    transition_width: Positive = Field(
        default=0.4, description="width of its logistic distribution over the carriers, cut 3 K below the middle, K"
    )
    k_fast: NotNegative = Field(default=0.08, description="rate of a carrier above its own transition, 1/s")
    k_tail: NotNegative = Field(
        default=0.003,
        description="rate of the others, times the share that has passed, 1/s",
    )
    k_light: NotNegative = Field(
        default=0.0, description="photocleavage by the laser: share released per dose, cm2/J (0: none)"
    )
    beam_area_cm2: Positive = Field(default=0.20, description="area of the beam, which makes a dose of an energy, cm2")
    scatter_absorbance: NotNegative = Field(
        default=0.06, description="apparent absorbance by scatter of the carriers in the beam at 500 nm (1)"
    )
    scatter_exponent: Annotated[float, Field(ge=0.0, le=4.0)] = Field(
        default=3.2, description="it falls with this power of the wavelength (1)"
    )

    @model_validator(mode="after")
    def _burst_is_part_of_the_plateau(self) -> "CarrierTable":
        if self.burst > self.plateau:
            raise ValueError("burst is above plateau: it is a part of it")
        return self


class MembraneTable(Section):
    """The dialysis insert: what is in it comes into the beam only through its membrane."""

    membrane_rate: Positive = Field(
        default=1.6, description="rate at which inside and outside come to equilibrium, 1/h"
    )
    insert_ml: Positive = Field(default=0.08, description="liquid inside, mL")


class AliquotTable(Section):
    """What a pipette takes out of the cuvette, and puts back."""

    volume_gain: Positive = Field(
        default=1.004,
        description="true volume of an aliquot, and of the medium put back, over the volume asked for (1)",
    )


class EnzymeTable(Section):
    """An enzyme that cuts the cargo's linker; it is added by pipette, as is the surfactant that dissolves the carriers."""

    kcat: NotNegative = Field(default=32.3, description="turnover of MMP-2 at the linker, 1/min")
    michaelis_constant: Positive = Field(default=14.8, description="its Michaelis constant, umol/L")
    enzyme_loss: NotNegative = Field(default=0.05, description="share of its activity lost per hour, 1/h")
    stock_nmol_per_l: NotNegative = Field(
        default=1020.0, description="active enzyme in the stock, nmol/L (nominal 1000)"
    )
    added_ml: Positive = Field(default=0.0100, description="stock, or surfactant, that one addition brings in, mL")
    mixing_s: Positive = Field(default=2.0, description="time constant of mixing in stirred liquid, s")
    mixing_unstirred_s: Positive = Field(default=40.0, description="the same without stirring, s")


class PreparationTable(Section):
    """A batch of loaded carriers, as `encapsulation` finds it: dissolved whole, filtered, and a standard beside."""

    encapsulation_efficiency: Percent = Field(default=86.0, description="share of the cargo that is inside, %")
    total_umol_per_l: Positive = Field(default=18.0, description="cargo in the measured dilution of the batch, umol/L")
    filter_recovery: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=0.97, description="share of free cargo that passes the filter (1)"
    )
    standard_umol_per_l: Positive = Field(default=10.05, description="cargo in the standard, umol/L (nominal 10)")
