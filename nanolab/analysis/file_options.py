"""What `nanolab analyze` asks of an assay: files, how to read them, and what is known beside them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nanolab.analysis.tables import ReadOptions
from nanolab.errors import UsageError, nearest
from nanolab.quantities import Quantity

if TYPE_CHECKING:
    from nanolab.assay import Parameter, Report

QUANTITIES: Mapping[str, tuple[str, float, float]] = {
    "power_w": ("W", 0.0, 100.0),
    "absorbance": ("1", 0.0, 10.0),
    "window": ("1", 0.01, 1.0),
    "path_cm": ("cm", 0.001, 20.0),
    "ambient_c": ("degC", -20.0, 120.0),
    "heat_capacity_j_per_k": ("J/K", 1e-6, 1e5),
    "liquid_heat_capacity_j_per_k": ("J/K", 1e-6, 1e5),
    "wall_heat_capacity_j_per_k": ("J/K", 0.0, 1e5),
    "albedo": ("1", 0.0, 0.999),
    "thermometer_gain": ("1", 0.5, 2.0),
    "power_gain": ("1", 0.5, 2.0),
    "blank_dt_k": ("K", -5.0, 200.0),
    "blank_power_w": ("W", 0.0, 100.0),
}
"""Name of a quantity that the command line takes to its unit and the range in which it is believed."""


@dataclass(frozen=True)
class FileOptions:
    """One call of `nanolab analyze`.

    Parameters
    ----------
    files : sequence of Path
        Curves of one material; each is one preparation.
    read : ReadOptions
        How to read them.
    quantities : mapping
        What was stated, by the names of QUANTITIES; what was not stated is missing.
    wavelength_nm : float, optional
        Laser line.
    laser_on_s, laser_off_s : float, optional
        When the laser went on and off, on the time axis of the files.
    blank : Path, optional
        Curve of the solvent blank, read as the files are, its own rows chosen by ``blank_where``.
    watts_per_duty : (slope, offset), optional
        Incident power in W = slope x duty + offset, for files with a duty column.
    spectrum : Path, optional
        Absorbance spectrum, ``spectrum_name`` one of several in the file: gives the absorbance at the laser
        line.
    sample : Path, optional
        Sample file; what the command line states overrides it.
    method : str, optional
        Name of a method of the assay.
    ladder, picture : bool
        Also analyse under every published convention; also draw.
    seed : int
        Of the Monte Carlo propagation.
    settings : mapping
        Values of the analysis' own parameters, every one of them, as `settings_of` reads them.
    """

    files: Sequence[Path]
    read: ReadOptions = field(default_factory=ReadOptions)
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    wavelength_nm: float | None = None
    laser_on_s: float | None = None
    laser_off_s: float | None = None
    blank: Path | None = None
    blank_where: Mapping[str, str] = field(default_factory=dict)
    watts_per_duty: tuple[float, float] | None = None
    spectrum: Path | None = None
    spectrum_name: str | None = None
    sample: Path | None = None
    method: str | None = None
    ladder: bool = False
    picture: bool = False
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


class FileAnalyst(Protocol):
    """An assay that analyses files measured by others, found through the entry points `nanolab.analyses`.

    ``file_options`` are the options of `nanolab analyze` that it uses, by the name of the command's parameter
    (``columns`` for ``--map``); any other one that a call gives is refused.
    """

    name: str
    summary: str
    file_options: Collection[str]

    def file_parameters(self) -> "Sequence[Parameter]":
        """List the parameters that `--set` takes."""

    def analyze_files(self, options: FileOptions) -> "Report":
        """Analyse; FileInvalidError or UsageError where the files or options cannot be used."""


def settings_of(analyst: FileAnalyst, settings: Sequence[str]) -> dict[str, Any]:
    """Check `--set NAME=VALUE` texts against what an analysis declares and fill in its defaults.

    UsageError names the nearest parameter where one is unknown, and one that is given twice.
    """
    parameters = {parameter.name: parameter for parameter in analyst.file_parameters()}
    values = {name: parameter.default for name, parameter in parameters.items()}
    seen: set[str] = set()
    for setting in settings:
        name, separator, text = (part.strip() for part in setting.partition("="))
        if not separator:
            raise UsageError(f"--set {setting}: write NAME=VALUE")
        if name not in parameters:
            hint = nearest(name, list(parameters)) if parameters else "it takes none"
            raise UsageError(f"--set {name}: the analysis '{analyst.name}' has no such parameter; {hint}")
        if name in seen:
            raise UsageError(f"--set {name}: given twice")
        seen.add(name)
        values[name] = parameters[name].parse(text)
    return values
