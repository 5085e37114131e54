"""The tables of a world file, one class each: what is true on the simulated bench.

Every key bears its unit in its name or in its description; the descriptions are what ``nanolab sim world``
prints. Values left out take the defaults of the example bench, which are off their nominal values here and
there by what an honest belief allows; the description says by how much.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CUVETTES = (
    "sample", "blank", "empty", "reference", "medium", "dialysis", "free", "carrier", "standard", "filtrate", "lysate",
    "indicator",
)  # fmt: skip
"""Four of the photothermal assay, then those of the release assays: medium alone, carriers or free cargo in a dialysis
insert, carriers in the beam, for the encapsulation a standard, a filtrate and a dissolved batch, and medium with a pH indicator."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Celsius = Annotated[float, Field(ge=-20.0, le=90.0)]
MeterPosition = Literal["sample_plane", "behind_cuvette", "pickoff"]


class Section(BaseModel):
    """One table of the world file: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Photothermal(Section):
    """What the particles do with the light: the quantities that the assay wants to know."""

    efficiency: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=0.72,
        description="TRUE photothermal efficiency: heat per incident power extinguished by the particles (1)",
    )
    absorbance: Annotated[float, Field(gt=0.0, le=6.0)] = Field(
        default=0.90,
        description="true decadic absorbance of the fresh sample at the nominal laser line over the path (1)",
    )
    path_length_mm: Positive = Field(default=10.0, description="path of the beam in the liquid, mm")
    solvent_absorption_scale: NotNegative = Field(
        default=1.0,
        description="absorption of the solvent relative to tabulated water (Segelstein); 0: clear solvent",
    )
    bleaching_per_joule: NotNegative = Field(
        default=1.5e-6,
        description="share of the absorbance lost per joule of laser light on the sample, 1/J; "
        "0.1 % in a good batch's cycle of 700 J; 4e-5 is a bad batch (3 % a cycle), 1e-4 degrades visibly",
    )
    ageing_per_kelvin_second: NotNegative = Field(
        default=0.0,
        description="share of the absorbance lost per second and kelvin above ambient, 1/(K s); "
        "4e-6 loses 5 % in a cycle of 1000 s at 12 K (loss of ligand, aggregation)",
    )
    lspr_shift_nm_at_full_loss: float = Field(
        default=-67.0,
        description="shift of the spectrum, nm, if all absorbance were lost; in proportion (-2 for 3 %)",
    )


class Particles(Section):
    """Shape of the extinction spectrum: gold nanorods (Gans) and spheres (Mie), scaled to `absorbance`."""

    aspect_ratio: Annotated[float, Field(ge=1.2, le=8.0)] = Field(
        default=4.36, description="mean length over diameter (1)"
    )
    aspect_ratio_sd: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        default=0.47, description="standard deviation of the aspect ratio over the batch (1)"
    )
    rod_diameter_nm: Annotated[float, Field(ge=2.0, le=60.0)] = Field(
        default=10.0, description="diameter of the rods, nm"
    )
    sphere_share: Annotated[float, Field(ge=0.0, le=10.0)] = Field(
        default=0.52, description="gold volume in spheres (by-product) over gold volume in rods (1)"
    )
    sphere_diameter_nm: Annotated[float, Field(ge=2.0, le=100.0)] = Field(
        default=40.0, description="diameter of the spheres, nm"
    )
    medium_index: Annotated[float, Field(ge=1.0, le=2.0)] = Field(
        default=1.33, description="refractive index of the solvent (1)"
    )


class Cuvette(Section):
    """The cuvette in its holder: heat capacities, conductances (all constant but wall to air), windows."""

    volume_ml: Annotated[float, Field(ge=0.02, le=20.0)] = Field(
        default=0.99, description="liquid really filled in, mL (nominal 1.0: a pipette is off by a per cent)"
    )
    liquid_heat_capacity_j_per_k_ml: Positive = Field(default=4.18, description="heat capacity of the liquid, J/(K mL)")
    wall_heat_capacity_j_per_k: Positive = Field(default=1.23, description="heat capacity of the wetted wall, J/K")
    holder_heat_capacity_j_per_k: Positive = Field(
        default=8.0, description="heat capacity of the holder, J/K (Al: 5 to 50)"
    )
    wall_air_w_per_k: NotNegative = Field(default=0.012, description="conductance wall to air at no difference, W/K")
    wall_air_rise_per_k: NotNegative = Field(
        default=0.003,
        description="relative rise of that conductance per kelvin of wall above air, 1/K "
        "(radiation and natural convection; real curves fit 0.02 to 0.04)",
    )
    wall_holder_w_per_k: NotNegative = Field(default=0.010, description="conductance wall to holder, W/K")
    holder_air_w_per_k: Positive = Field(default=0.050, description="conductance holder to air, W/K")
    liquid_air_w_per_k: NotNegative = Field(
        default=0.001, description="conductance of the liquid's surface to air, W/K"
    )
    window_transmission: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=0.962,
        description="share of the light that passes one window of the filled cuvette (nominal 0.964)",
    )
    empty_window_transmission: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=0.933,
        description="share of the light that passes one window of the empty cuvette (two air-quartz faces)",
    )
    window_absorption: Annotated[float, Field(ge=0.0, le=0.2)] = Field(
        default=0.001,
        description="share of the light on a window that becomes heat in it; front and back alike",
    )
    reference_offset: Annotated[float, Field(ge=-0.1, le=0.1)] = Field(
        default=0.001,
        description="decadic absorbance by which the reference cuvette differs from the sample's own (1)",
    )

    @model_validator(mode="after")
    def _windows_give_no_light(self) -> "Cuvette":
        for name in ("window_transmission", "empty_window_transmission"):
            if getattr(self, name) + self.window_absorption > 1.0 + 1e-12:
                raise ValueError(f"{name} + window_absorption is above 1: a window cannot give out more than it gets")
        return self


class Ambient(Section):
    """The air around the bench."""

    temperature_c: Celsius = Field(default=22.5, description="air temperature at lab time 0, degC")
    drift_k_per_h: float = Field(default=0.1, description="steady drift of the air, K/h; 1 or more is a drifting room")
    noise_k: NotNegative = Field(default=0.02, description="slow wander of the air about that line, K rms")
    noise_correlation_s: Positive = Field(default=900.0, description="correlation time of that wander, s")
    relative_humidity: Share = Field(default=0.45, description="relative humidity of the air (1)")


class Evaporation(Section):
    """Loss of solvent: takes 2.40 MJ/kg with it and concentrates the sample."""

    mass_transfer_m_per_s: NotNegative = Field(
        default=7.0e-4, description="mass transfer coefficient, m/s: 7e-4 capped, 3e-3 to 5e-3 open, 0 sealed"
    )
    area_m2: NotNegative = Field(default=5.0e-5, description="evaporating area, m2; 1e-4 is the whole open section")


class Stirring(Section):
    """Mixing of the liquid."""

    on: bool = Field(default=True, description="whether the stirrer runs")
    liquid_wall_w_per_k: Positive = Field(default=0.20, description="conductance liquid to wall while stirred, W/K")
    liquid_wall_unstirred_w_per_k: Positive = Field(default=0.05, description="the same without stirring, W/K")
    unstirred_fluctuation: NotNegative = Field(
        default=0.06,
        description="without stirring: wander at the probe, rms, per kelvin between liquid and wall (plumes)",
    )
    fluctuation_correlation_s: Positive = Field(default=12.0, description="correlation time of that wander, s")


class Laser(Section):
    """The diode laser as it arrives at the sample plane, in front of the window."""

    wavelength_nm: Annotated[float, Field(ge=350.0, le=1100.0)] = Field(
        default=808.0, description="line at the reference case temperature, nm"
    )
    line_width_nm: NotNegative = Field(default=2.0, description="full width at half maximum of the line, nm")
    shift_nm_per_k: float = Field(
        default=0.28, description="shift of the line with the temperature of the diode's case, nm/K"
    )
    reference_case_c: Celsius = Field(default=25.0, description="case temperature at which the line is as given, degC")
    threshold_a: NotNegative = Field(default=0.287, description="threshold current, A")
    slope_w_per_a: Positive = Field(default=0.915, description="slope at the sample plane, W/A (nominal 0.90)")
    max_power_w: Positive = Field(default=2.3, description="power at which the diode rolls over, W")
    spontaneous_w: NotNegative = Field(default=0.001, description="light just below the threshold, W")
    warm_up_droop: Share = Field(default=0.015, description="share of the power that is lost when the diode is warm")
    warm_up_s: Positive = Field(default=150.0, description="time constant of warming up and cooling, s")
    turn_on_s: NotNegative = Field(
        default=0.02, description="time constant of the light after a rise of the current, s"
    )
    fast_noise: NotNegative = Field(default=0.003, description="relative intensity noise in one reading, rms")
    drift: NotNegative = Field(default=0.004, description="slow relative drift of the power, rms")
    drift_correlation_s: Positive = Field(default=600.0, description="correlation time of that drift, s")
    monitor_gain: Positive = Field(
        default=1.03, description="gain error of the controller's own photodiode (1 is right)"
    )
    diode_voltage_v: NotNegative = Field(default=1.52, description="voltage of the diode just above no current, V")
    series_resistance_ohm: NotNegative = Field(default=0.14, description="series resistance of the diode, ohm")


class Thermocouple(Section):
    """The thermometers: one in the liquid, one in the air, one in the holder."""

    gain: Positive = Field(default=1.004, description="gain of all channels about 25 degC (1 is right)")
    sample_offset_k: float = Field(default=0.15, description="offset of the probe in the liquid, K")
    ambient_offset_k: float = Field(default=-0.08, description="offset of the probe in the air, K")
    holder_offset_k: float = Field(default=0.05, description="offset of the probe in the holder, K")
    lag_s: NotNegative = Field(
        default=2.0, description="time constant of the probe in the liquid, s (0.1 to 4 in practice)"
    )
    ambient_lag_s: NotNegative = Field(default=10.0, description="time constant of the probe in the air, s")
    beam_heating_k_per_w: NotNegative = Field(
        default=0.0,
        description="heating of the probe in the liquid by the beam, K/W; 10 is a probe that sits in it",
    )
    noise_k: NotNegative = Field(default=0.03, description="noise of each channel, correlated in time, K rms")
    noise_correlation_s: Positive = Field(default=5.0, description="correlation time of that noise, s")


class PowerMeter(Section):
    """The power-meter head: where it looks and how wrong it is."""

    position: MeterPosition = Field(
        default="pickoff", description='where the head is: "sample_plane", "behind_cuvette" or "pickoff"'
    )
    gain: Positive = Field(default=1.02, description="gain error of the head (1 is right)")
    zero_w: float = Field(default=2.0e-5, description="reading without light, W")
    noise_w: NotNegative = Field(default=1.0e-5, description="white noise of a reading, W rms")
    head_s: NotNegative = Field(default=1.0, description="time constant of the head, s")
    pickoff_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=0.04, description="light on the head at the pickoff over power at the sample plane (1)"
    )
    responsivity_per_nm: float = Field(
        default=2.0e-4,
        description="relative error of a reading per nm between the wavelength set and the laser's, 1/nm",
    )
    head_blocks_beam: bool = Field(
        default=False,
        description="true: a head in the sample plane shadows the cuvette; false: it watches without shadow",
    )


class Spectrometer(Section):
    """Lamp, fibre and detector; counts are on a 16-bit scale."""

    lamp_peak_counts: Positive = Field(
        default=40000.0,
        description="counts above dark at the lamp's brightest pixel in 20 ms through solvent (60 % of full)",
    )
    lamp_drift: NotNegative = Field(default=0.001, description="slow relative wander of the lamp, rms")
    lamp_drift_correlation_s: Positive = Field(default=1800.0, description="correlation time of that wander, s")
    lamp_drift_per_h: float = Field(default=-0.001, description="steady relative drift of the lamp, 1/h")
    dark_counts: NotNegative = Field(default=1500.0, description="electronic offset, counts")
    dark_counts_per_s: NotNegative = Field(default=250.0, description="dark current, counts/s")
    dark_pattern_counts: NotNegative = Field(
        default=8.0, description="fixed pattern of the dark over the pixels, counts rms"
    )
    dark_drift_counts: NotNegative = Field(default=4.0, description="slow wander of the offset, counts rms")
    dark_drift_correlation_s: Positive = Field(default=900.0, description="correlation time of that wander, s")
    read_noise_counts: NotNegative = Field(default=45.0, description="read noise of one exposure, counts rms")
    electrons_per_count: Positive = Field(default=1.25, description="photoelectrons per count: sets the shot noise")
    stray_light: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        default=5.0e-4, description="share of all light that is spread evenly over the pixels"
    )
    nonlinearity: tuple[float, float, float, float] = Field(
        default=(1.0, -1.5e-7, 0.0, 0.0),
        description="true counts = counts / (n0 + n1 counts + n2 counts^2 + n3 counts^3), dark subtracted",
    )
    full_scale: Positive = Field(default=65535.0, description="where a pixel clips, counts")
    wavelength_coefficients: tuple[float, float, float, float] = Field(
        default=(345.0, 0.3455, -1.25e-5, -1.0e-9), description="wavelength of pixel p = sum of c_i p^i, nm"
    )
    line_spread_nm: Positive = Field(default=1.3, description="full width at half maximum of the instrument, nm")
    laser_counts_per_w_s: NotNegative = Field(
        default=1.0e6, description="scattered laser light at the peak of its line, counts per watt and second"
    )
