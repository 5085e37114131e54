"""What sample.toml says of a release assay: amounts and instruments, and what it is expected to show."""

from pydantic import Field

from nanolab.bench.fields import (
    Area,
    Celsius,
    Concentration,
    Gain,
    MassConcentration,
    MolarEnergy,
    Percent,
    PerFluence,
    PerHour,
    PerMinute,
    PerMolarHour,
    PerSecond,
    PhDifference,
    Pk,
    PositiveShare,
    ShareLost,
    TemperatureChange,
    Volume,
)
from nanolab.bench.files import Table
from nanolab.quantities import Quantity


class ReleaseTable(Table):
    """Amounts of a release assay, and how far its instruments are trusted."""

    concentration: Concentration = Field(
        default=Quantity(12.0, "umol/L", 0.24), description="all cargo over the volume of the cuvette; without u: 2 %"
    )
    dose_ratio: Gain = Field(
        default=Quantity(1.0, "1", 0.02),
        description="cargo in the carriers over free cargo of the comparison, as filled in; without u: 2 %",
    )
    thermometer_accuracy: TemperatureChange = Field(
        default=Quantity(0.1, "K"), description="standard uncertainty of the temperature of the liquid"
    )
    ph_accuracy: PhDifference = Field(default=Quantity(0.03, "1"), description="standard uncertainty of the pH")
    indicator_pk: Pk | None = Field(
        default=None,
        description="pK of m-cresol purple in your medium at the temperature of the assay, for check_ph: to be determined in "
        "that medium with buffers of known pH (a dilute buffer is 0.1 to 0.6 above seawater, which is taken otherwise); without u: 0.6 %",
    )
    activation_energy: MolarEnergy = Field(
        default=Quantity(80.0, "kJ/mol", 20.0),
        description="of the release: carries rates over to 37 degC; without u: 25 %",
    )
    enzyme: Concentration = Field(
        default=Quantity(0.0100, "umol/L", 0.0005), description="active enzyme in the cuvette; without u: 5 %"
    )
    evaporation: ShareLost = Field(
        default=Quantity(0.001, "1/h", 0.001),
        description="share of the liquid of a capped cuvette that evaporates per hour; without u: all of it",
    )
    addition: Volume = Field(
        default=Quantity(0.010, "mL", 0.0001), description="what one addition by pipette brings in; without u: 1 %"
    )
    withdrawal: Gain = Field(
        default=Quantity(1.0, "1", 0.01),
        description="true volume of an aliquot that is withdrawn, and of the medium put back, over sample_ml; without u: 1 %",
    )
    insert: Volume = Field(
        default=Quantity(0.08, "mL", 0.008),
        description="liquid inside the dialysis insert, used where aliquots are withdrawn or acid is dosed; without u: 10 %",
    )
    least_volume: Volume = Field(
        default=Quantity(0.5, "mL"),
        description="liquid that beam and probe need: aliquots that would leave less are refused before the start",
    )
    standard: Concentration = Field(
        default=Quantity(10.0, "umol/L", 0.1), description="cargo in the standard of the encapsulation; without u: 1 %"
    )
    beam_area: Area = Field(
        default=Quantity(0.20, "cm2", 0.01), description="of the laser's beam in the sample; without u: 5 %"
    )
    filter_recovery: PositiveShare = Field(
        default=Quantity(0.97, "1", 0.01), description="share of free cargo that passes the filter; without u: 1 %"
    )
    dilution: Gain = Field(
        default=Quantity(1.0, "1", 0.01),
        description="dilution of the filtrate over that of the dissolved batch; without u: 1 %",
    )
    particles: MassConcentration | None = Field(
        default=None, description="particles with cargo in the measured dilution, for the loading; without u: 5 %"
    )
    molar_mass_g_per_mol: float = Field(
        default=543.5, gt=0.0, description="of the cargo, g/mol, for the loading; doxorubicin: 543.5"
    )


class ExpectedReleaseTable(Table):
    """What a release assay is expected to show; the prediction is made from this, before the first reading."""

    burst: Percent = Field(default=Quantity(12.0, "%", 4.0), description="share of the dose that leaves first")
    k_burst: PerHour = Field(default=Quantity(2.0, "1/h", 0.6), description="its rate at 37 degC")
    plateau: Percent = Field(default=Quantity(88.0, "%", 5.0), description="share of the dose that can leave at all")
    k_release: PerHour = Field(
        default=Quantity(0.06, "1/h", 0.012), description="rate of the rest at 37 degC without any trigger"
    )
    membrane_rate: PerHour = Field(default=Quantity(1.6, "1/h", 0.3), description="of the dialysis insert")
    k_acid: PerMolarHour = Field(
        default=Quantity(2.0e4, "L/mol/h", 5.0e3), description="rate added per mol/L of hydrogen ions"
    )
    transition_temperature: Celsius = Field(
        default=Quantity(41.0, "degC", 0.3), description="middle of the carrier's transition"
    )
    transition_width: TemperatureChange = Field(
        default=Quantity(0.4, "K", 0.1), description="width of its logistic distribution"
    )
    k_fast: PerSecond = Field(default=Quantity(0.08, "1/s", 0.02), description="rate above the transition")
    k_tail: PerSecond = Field(default=Quantity(0.003, "1/s", 0.001), description="rate of carriers not yet past it")
    k_light: PerFluence = Field(
        default=Quantity(0.0, "cm2/J", 0.0),
        description="photocleavage: share released per fluence of the laser; 0: by its warmth alone",
    )
    kcat: PerMinute = Field(default=Quantity(32.0, "1/min", 6.0), description="turnover of the enzyme")
    michaelis_constant: Concentration = Field(
        default=Quantity(15.0, "umol/L", 4.0), description="Michaelis constant of the enzyme"
    )
    enzyme_loss: PerHour = Field(
        default=Quantity(0.05, "1/h", 0.03), description="share of the enzyme's activity lost per hour"
    )
    encapsulation_efficiency: Percent = Field(
        default=Quantity(86.0, "%", 5.0), description="share of the cargo of a batch that is inside"
    )
