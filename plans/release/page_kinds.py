"""What differs between the pages of the release assays: quantities, roles of the controls, definitions in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plans.release import acid_assay, enzyme_assay, heat_findings, passive_assay

INPUTS = {
    "chance": "the noise of the read-outs",
    "dose_ratio": "the ratio of the doses",
    "temperature": "the thermometer",
    "activation_energy": "the activation energy",
    "linearity": "the linearity of the read-out",
    "scale": "the look at the dissolved carriers",
    "ph": "the calibration of the pH probe",
    "concentration": "the concentration of the cargo",
    "enzyme": "the concentration of the enzyme",
    "evaporation": "what evaporates",
    "enzyme_loss": "the enzyme's loss of activity",
    "k_release": "the rate without a trigger",
    "fluence": "the laser's power and the area of its beam",
    "withdrawal": "the volume of an aliquot",
    "volume": "the volume in the cuvette",
    "insert": "the volume of the insert",
}


@dataclass(frozen=True)
class Kind:
    """One release assay as its page tells it.

    ``names``: its quantities in result.json, the one of the verdict first; ``titles`` their words. ``key``: the one in the
    headline. ``controls``: role of a control and what it was. ``where``: behind a membrane, or in the beam. ``definition``,
    ``model``: what the quantities mean, and what was fitted.
    """

    name: str
    names: Sequence[str]
    titles: Mapping[str, str]
    controls: Mapping[str, str]
    where: str
    model: str
    definition: str
    ylabel: str = "released / %"
    derived: Sequence[str] = field(default_factory=tuple)

    @property
    def key(self) -> str:
        """The quantity that the verdict is about."""
        return self.names[0]


_MEMBRANE = (
    "Behind a membrane y(t) = L r M[G(t)]/(1 − g t) is seen, with M the membrane (dM/dt = k_m (G − M)), L the level that free "
    "cargo reaches, r the ratio of the doses and g what evaporates; free cargo through the same membrane gives L, k_m and g."
)
_BEAM = (
    "In the beam the amount released is how far a spectrum has come from the first look to that of the dissolved carriers "
    "(surfactant): 100 % is what the carriers held at the first look."
)
_BURST = "burst and sustained part, G = A (1 − e^(−k_b t)) + (P − A)(1 − e^(−k t))"

RELEASE = Kind(
    name="release",
    names=passive_assay.NAMES,
    titles=passive_assay.TITLES,
    controls={"free": "free cargo through the same membrane"},
    where="membrane",
    model="burst and sustained part behind the membrane",
    definition=f"Released percent of the dose: {_BURST}; rates are those at 37 °C, carried along the recorded temperature "
    f"by Arrhenius. {_MEMBRANE}",
    derived=("drift",),
)

ACID = Kind(
    name="release_ph",
    names=acid_assay.NAMES,
    titles=acid_assay.TITLES,
    controls={
        "indicator": "medium with a pH indicator, to check the probe",
        "free": "free cargo through the same membrane",
    },
    where="membrane",
    model="specific acid, with burst and membrane",
    definition="The rate of the sustained part follows the recorded pH: k(pH) = k_release + k_acid (10^−pH − 10^−pH0), pH0 that "
    f"of the medium at the start. {_MEMBRANE} The dilution by the doses of acid is taken out by the pump's counter.",
    derived=("drift",),
)

ENZYME = Kind(
    name="release_enzyme",
    names=enzyme_assay.NAMES,
    titles=enzyme_assay.TITLES,
    controls={"control": "carriers without enzyme"},
    where="beam",
    model="integrated Michaelis-Menten beside what leaves by itself",
    definition="Cargo within carriers S is set free by −dS/dt = k_cat E S/(K_m + S) + k S, the active enzyme E falling as the sample "
    f"file says (enzyme_loss); what leaves by itself is held by the control without enzyme. {_BEAM}",
    ylabel="released since the first look / %",
    derived=("specificity",),
)

HEAT = Kind(
    name="release_triggered",
    names=heat_findings.LIT_NAMES,
    titles=heat_findings.TITLES,
    controls={
        "dark": "carriers, neither heated nor lit",
        "no_carrier": "free cargo in the laser's light",
        "same_temperature": "carriers at the sample's temperatures, laser off",
    },
    where="beam",
    model="k(T(t)) along the measured temperature, with a laser also k_light along the fluence",
    definition="Carriers have transition temperatures of their own, logistic about T_m with the width w and cut 3 K below it: those that the liquid's "
    "temperature has passed lose their cargo at k_fast, the others at k_tail times the share that has passed, beside a burst; T(t) is measured. "
    "With a laser, light cuts the share 1 − e^(−k_light D) of what is held, D the fluence, beside what its warmth does; carriers at "
    "the same temperatures without the laser tell the two apart. "
    f"{_BEAM}",
    ylabel="released since the first look / %",
    derived=("light_energy",),
)

BATCH = Kind(
    name="encapsulation",
    names=("encapsulation_efficiency", "loading_capacity", "total", "free"),
    titles={
        "encapsulation_efficiency": "encapsulation efficiency",
        "loading_capacity": "loading capacity",
        "total": "all cargo",
        "free": "free cargo",
    },
    controls={"standard": "standard", "filtrate": "filtrate"},
    where="batch",
    model="EE = 1 − free/total",
    definition="EE = 1 − c_free/c_total, c_total that of the dissolved batch, c_free that of the filtrate corrected for dilution and "
    "for what the filter holds back; both are read by the same spectrum and scaled by the same standard, whose error leaves EE alone. "
    "Loading capacity = mass of cargo inside / mass of particles with cargo.",
)
