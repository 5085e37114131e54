"""The photothermal assay as nanolab finds it: forecast, runs (blank, reference, sample), analysis."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanolab.assay import Forecast, Parameter, Plan, Report, RunStep, Setup
from plans.photothermal.beliefs import beliefs_from, conditions_from
from plans.photothermal.parameters import PARAMETERS
from plans.photothermal.plan import photothermal, reference
from plans.photothermal.prediction import Prediction, Program, predict

if TYPE_CHECKING:
    from nanolab.analysis.file_options import FileOptions
    from nanolab.bench.connect import Bench
    from nanolab.journal.reader import Run

TYPICAL_BASELINE_S = 150.0
TIME_CONSTANTS_HEATED = 5.0
BLANK_BASELINE_S = 120.0

FILE_OPTIONS = (
    "columns", "where", "lines", "invalid_value", "power_w", "watts_per_duty", "absorbance", "spectrum", "wavelength_nm",
    "path_cm", "window", "albedo", "heat_capacity_j_per_k", "liquid_heat_capacity_j_per_k",
    "wall_heat_capacity_j_per_k", "ambient_c", "thermometer_gain", "power_gain", "laser_on_s", "laser_off_s", "blank",
    "blank_where", "blank_dt_k", "blank_power_w", "sample", "method", "ladder", "seed",
)  # fmt: skip
"""Options of `nanolab analyze` that the photothermal analysis uses."""


@dataclass(frozen=True)
class Course:
    """What a run is expected to do: powers in W of its cycles, lengths in lab seconds of its phases."""

    powers_w: Sequence[float]
    baseline_s: float
    heat_s: float
    cool_s: float

    @property
    def seconds(self) -> float:
        """Length of the run, lab seconds."""
        return self.baseline_s + len(self.powers_w) * (self.heat_s + self.cool_s)

    @property
    def joules(self) -> float:
        """Energy on the sample, J."""
        return self.heat_s * sum(self.powers_w)

    @property
    def seconds_on(self) -> float:
        """Time with the laser on, lab seconds."""
        return self.heat_s * len(self.powers_w)

    def program(self) -> Program:
        """Return the phases as the prediction takes them."""
        first = self.powers_w[0]
        return Program(self.baseline_s, self.heat_s, self.cool_s, tuple(power / first for power in self.powers_w))


def course_of(values: Mapping[str, Any], time_constant_s: float) -> Course:
    """Expect five time constants where the plan's rules decide."""
    rule = min(TIME_CONSTANTS_HEATED * time_constant_s, float(values["heat_timeout_s"]))
    powers = list(values["powers_w"] or [values["power_w"]] * int(values["cycles"]))
    return Course(
        powers,
        values["baseline_s"] or TYPICAL_BASELINE_S,
        values["heat_s"] or rule,
        values["cool_s"] or rule,
    )


class PhotothermalAssay:
    """`nanolab run photothermal`."""

    name = "photothermal"
    summary = (
        "Photothermal efficiency: solvent blank, spectra, baseline, heat and cool, analysis against the prediction."
    )
    emits = True
    roles: Sequence[str] = ("laser", "thermocouple")
    plan = staticmethod(photothermal)
    file_options = FILE_OPTIONS

    def parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        return PARAMETERS

    def forecast(self, setup: Setup) -> Forecast:
        """Predict from the files alone: nothing is opened."""
        prediction, course = self._predict(setup)
        with_blank = setup.blank == "run"
        runs = 2 if with_blank else 1
        blank_s = BLANK_BASELINE_S + course.heat_s + course.cool_s if with_blank else 0.0
        return Forecast(
            minutes=(course.seconds + blank_s) / 60.0,
            # limits of dose are those of one sample: the blank is another cuvette
            joules=course.joules,
            seconds_on=course.seconds_on,
            peak_power_w=max(course.powers_w),
            peak_temperature_c=prediction.peak_temperature.value,
            prediction=prediction.to_json(),
            steps=_steps(setup, course, runs),
            inputs={"prediction": prediction, "course": course},
        )

    def _predict(self, setup: Setup) -> tuple[Prediction, Course]:
        values = setup.values
        first_power = (values["powers_w"] or [values["power_w"]])[0]
        beliefs = beliefs_from(setup.sample, setup.bench, first_power)
        loss = beliefs.heat_loss
        tau = beliefs.heat_capacity.value / loss.value if loss is not None else beliefs.heat_capacity.value / 0.018
        course = course_of(values, tau)
        return predict(beliefs, course.program()), course

    def runs(self, setup: Setup, bench: "Bench", forecast: Forecast) -> Iterator[RunStep]:
        """Yield blank (if it is to be measured), reference spectra, sample."""
        course: Course = forecast.inputs["course"]
        devices = {role: bench.devices.get(role) for role in ("laser", "thermocouple", "spectrometer", "powermeter")}
        common: dict[str, Any] = {
            **devices,
            "cuvette": bench.devices.get("cuvette"),
            "clock": bench.clock,
        }
        key = {"blank_key": setup.sample.blank_key()}
        if setup.blank == "run":
            highest = max(course.powers_w)
            fixed = {"baseline_s": BLANK_BASELINE_S, "heat_s": course.heat_s, "cool_s": course.cool_s}
            blank_values = {
                **dict(setup.values),
                **fixed,
                "power_w": highest,
                "powers_w": None,
                "cycles": 1,
                "spectrum": "none",
            }
            make = partial(_make, {**common, "contents": "blank", **blank_values})
            length = BLANK_BASELINE_S + course.heat_s + course.cool_s
            yield RunStep("blank", make, length, key)
        if devices["spectrometer"] is not None and setup.values["spectrum"] == "measure":
            yield RunStep("reference", partial(_make_reference, common), 0.0, key)
        metadata: dict[str, Any] = dict(key)
        if setup.blank not in {"run", "none"}:
            metadata["references"] = {"blank": self._blank_run(setup).uid}
        values = dict(setup.values)
        yield RunStep("sample", partial(_make, {**common, "contents": "sample", **values}), course.seconds, metadata)

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Analyse the sample's run with its blank and reference, and compare with the prediction."""
        from plans.photothermal.report import report

        found = dict(runs)
        if setup.blank not in {"run", "none"}:
            found["blank"] = self._blank_run(setup)
        conditions = conditions_from(setup.sample, setup.bench)
        spectrum = setup.values["spectrum"]
        if spectrum not in {"measure", "none"}:
            found_file: Path | None = Path(spectrum)
        else:
            found_file = None
        prediction: Prediction = forecast.inputs["prediction"]
        return report(found, conditions, setup.sample, prediction, spectrum_file=found_file, with_ladder=ladder)

    def file_parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes in the analysis of files: nothing, it has options of its own."""
        return ()

    def analyze_files(self, options: "FileOptions") -> Report:
        """Analyse curves measured by others."""
        from plans.photothermal.files import analyze_files

        return analyze_files(options)

    def _blank_run(self, setup: Setup) -> "Run":
        from nanolab.journal.catalog import find_run
        from nanolab.journal.reader import open_run

        return open_run(find_run(setup.data_root, setup.blank).path)


def _make(arguments: Mapping[str, Any], md: Mapping[str, Any]) -> Plan:
    return photothermal(**arguments, md=md)


def _make_reference(arguments: Mapping[str, Any], md: Mapping[str, Any]) -> Plan:
    return reference(arguments["spectrometer"], arguments["cuvette"], clock=arguments["clock"], md=md)


def _steps(setup: Setup, course: Course, runs: int) -> list[str]:
    """Say the plan in words, with its numbers."""
    values = setup.values
    spectra = values["spectrum"] == "measure" and "spectrometer" in setup.bench.devices
    steps: list[str] = []
    heat = f"{course.heat_s:.0f} s" if values["heat_s"] else f"until steady (about {course.heat_s:.0f} s)"
    cool = f"{course.cool_s:.0f} s" if values["cool_s"] else f"until steady (about {course.cool_s:.0f} s)"
    if runs == 2:
        steps.append(
            f"load the solvent blank; baseline {BLANK_BASELINE_S:.0f} s, {max(course.powers_w):g} W for "
            f"{course.heat_s:.0f} s, cool {course.cool_s:.0f} s"
        )
    if spectra:
        steps.append("load the reference cuvette; dark and light spectra, laser off")
    steps.append("load the sample" + ("; dark and light spectra, laser off" if spectra else ""))
    baseline = (
        f"{course.baseline_s:.0f} s"
        if values["baseline_s"]
        else f"until the drift is small (about {course.baseline_s:.0f} s)"
    )
    steps.append(f"baseline {baseline}, a reading every {values['cadence_s']:g} s")
    for number, power in enumerate(course.powers_w, 1):
        steps.append(f"cycle {number}: {power:g} W {heat}, laser off, cool {cool}" + ("; spectrum" if spectra else ""))
    steps.append("analyse, compare with the prediction, write result.json and figure.svg")
    return steps


ASSAY = PhotothermalAssay()
