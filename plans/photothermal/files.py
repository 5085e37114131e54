"""The photothermal analysis on curves measured by others: from tables and stated numbers to a report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Caution, Cautions
from nanolab.analysis.file_options import FileOptions
from nanolab.analysis.tables import CurveTable, ReadOptions, read_curve
from nanolab.assay import Report
from nanolab.errors import UsageError, nearest
from nanolab.quantities import Quantity
from plans.photothermal.balance import analyze
from plans.photothermal.conditions import RELATIVE_DEFAULTS, Blank, Conditions
from plans.photothermal.curve import HeatingCurve
from plans.photothermal.file_curves import base_of, heating_curve, signs_of_file
from plans.photothermal.file_report import (
    combined_json,
    picture_of,
    result_json,
    rows_of,
    unsupported_removed,
)
from plans.photothermal.methods import METHODS
from plans.photothermal.result import PhotothermalResult

if TYPE_CHECKING:
    from nanolab.bench.config import BenchConfig

Array = npt.NDArray[np.float64]

STATED = {
    "power_w": "power",
    "absorbance": "absorbance",
    "window": "window",
    "path_cm": "path_length",
    "ambient_c": "ambient_c",
    "heat_capacity_j_per_k": "heat_capacity",
    "liquid_heat_capacity_j_per_k": "liquid_heat_capacity",
    "wall_heat_capacity_j_per_k": "wall_heat_capacity",
    "albedo": "albedo",
    "thermometer_gain": "thermometer_gain",
    "power_gain": "power_gain",
}
"""Name on the command line to name in the conditions."""

LINE_WIDTH_NM = 2.0


@dataclass
class Preparation:
    """One file: its curve, the result if there is one, and what to be careful of."""

    name: str
    curve: HeatingCurve
    cautions: Cautions
    result: PhotothermalResult | None = None


def analyze_files(options: FileOptions) -> Report:
    """Analyse the files of one call of `nanolab analyze photothermal`.

    Returns
    -------
    Report
        Of several files: the mean, each result, and the spread between them. A quantity that the data cannot
        support is None with a caution; ``refused`` names the efficiency where all its inputs were given.

    Raises
    ------
    FileInvalidError
        A file cannot be read as a curve.
    UsageError
        An option names what is not there, or the method is not known.
    """
    method = options.method or "balance"
    if method not in METHODS:
        raise UsageError(f"--method {method}: not known; {nearest(method, list(METHODS))}")
    common = Cautions()
    conditions = _conditions(options, common)
    preparations = [_read(read_curve(path, options.read), options) for path in options.files]
    conditions = _with_power_column(conditions, preparations, common)
    blank = _blank(options, conditions, common)
    for preparation in preparations:
        _analyze(preparation, conditions, blank, method, options.seed)
    return _report(preparations, conditions, blank, method, options, common)


def _read(table: CurveTable, options: FileOptions) -> Preparation:
    cautions = Cautions()
    for note in table.notes:
        cautions.add(note.code, note.text)
    curve = heating_curve(table, options.laser_on_s, options.laser_off_s, options.watts_per_duty, cautions)
    return Preparation(table.label, curve, cautions)


def _conditions(options: FileOptions, cautions: Cautions) -> Conditions:
    """Return what was stated: the sample file first, the command line over it."""
    conditions = Conditions()
    if options.sample is not None:
        conditions = _from_sample(options)
    stated = {STATED[name]: value for name, value in options.quantities.items() if name in STATED}
    if options.wavelength_nm is not None and not 200.0 <= options.wavelength_nm <= 2500.0:
        raise UsageError(f"--wavelength-nm {options.wavelength_nm:g}: a laser line lies between 200 and 2500 nm")
    if options.spectrum is not None:
        stated["absorbance"] = _absorbance_from_spectrum(options, cautions)
    return replace(conditions, wavelength_nm=options.wavelength_nm, **stated)  # type: ignore[arg-type]  # all Quantities


def _from_sample(options: FileOptions) -> Conditions:
    from nanolab.bench.defaults import find_sample
    from plans.photothermal.beliefs import conditions_from

    # a file has no bench; all that is believed of one here is the laser line
    laser = SimpleNamespace(settings=SimpleNamespace(wavelength=Quantity(options.wavelength_nm or 0.0, "nm")))
    bench = SimpleNamespace(devices={} if options.wavelength_nm is None else {"laser": laser})
    return conditions_from(find_sample(options.sample), cast("BenchConfig", bench))


def _absorbance_from_spectrum(options: FileOptions, cautions: Cautions) -> Quantity:
    from nanolab.analysis.laser_line import absorbance_at_laser, gaussian_laser_line
    from nanolab.analysis.spectra import imported_absorbance
    from nanolab.analysis.spectrum_files import read_absorbance

    if options.wavelength_nm is None or options.spectrum is None:
        raise UsageError("--spectrum needs --wavelength-nm: the absorbance is read at the laser line")
    file = read_absorbance(options.spectrum, options.spectrum_name)
    spectrum = imported_absorbance(file.wavelength_nm, file.values)
    value = absorbance_at_laser(spectrum, gaussian_laser_line(options.wavelength_nm, LINE_WIDTH_NM))
    cautions.add(
        "absorbance_from_file",
        f"the absorbance {value} was read from {options.spectrum.name} at {options.wavelength_nm:g} nm, "
        f"for a line {LINE_WIDTH_NM:g} nm wide and the path of that spectrum",
    )
    return value


def _with_power_column(conditions: Conditions, preparations: Sequence[Preparation], cautions: Cautions) -> Conditions:
    """Give a power that only a column tells the stated default uncertainty, as a gain shared by all files."""
    if conditions.power is not None or all(p.curve.power_w is None for p in preparations):
        return conditions
    gain = conditions.power_gain
    if gain.standard_uncertainty:
        return conditions
    relative = RELATIVE_DEFAULTS["power"]
    cautions.add(
        "uncertainty_assumed",
        f"the power comes from a column, its uncertainty was not stated and is assumed: {100 * relative:g} %",
    )
    return replace(conditions, power_gain=Quantity(gain.value, "1", relative * gain.value))


def _blank(options: FileOptions, conditions: Conditions, cautions: Cautions) -> Blank | None:
    power = options.quantities.get("blank_power_w")
    rise = options.quantities.get("blank_dt_k")
    if options.blank is None and rise is None:
        return None
    if rise is not None:
        if rise.standard_uncertainty is None:
            rise = rise.with_default_uncertainty(0.05)
            cautions.add("blank_uncertainty_assumed", "the blank's rise was given without uncertainty: 5 % is assumed")
        return Blank(rise_k=rise, power=power)
    read = ReadOptions(options.read.columns, options.blank_where, options.read.invalid_values)
    table = read_curve(cast("Any", options.blank), read)
    own = Cautions()
    # the laser's times on the command line are those of the sample's files
    curve = heating_curve(table, None, None, options.watts_per_duty, own, options.laser_on_s, options.laser_off_s)
    for caution in own:
        cautions.add(f"blank_{caution.code}", f"blank: {caution.text}")
    if power is None and curve.power_w is None and conditions.power is not None:
        cautions.add("blank_power_assumed", "the blank's power was not stated: that of the sample is assumed")
    return Blank(curve=curve, power=power)


def _analyze(preparation: Preparation, conditions: Conditions, blank: Blank | None, method: str, seed: int) -> None:
    """Analyse one file, or say why it cannot be."""
    cautions, curve = preparation.cautions, preparation.curve
    if not signs_of_file(curve, base_of(curve, conditions.ambient_c), cautions):
        return
    try:
        # overflow and the like inside a fit end in a number that is not finite: looked at below
        with np.errstate(all="ignore"):
            preparation.result = analyze(curve, conditions, blank, method=method, seed=seed)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        cautions.add("fit_failed", f"no model fits this curve ({error})", "efficiency")
        return
    result = unsupported_removed(preparation.result, cautions)
    for caution in preparation.result.cautions:
        if caution.code == "not_at_plateau" and result.temperature_rise is None:
            cautions.add("not_at_plateau", "the curve does not show where its rise would end")
        # the reader of the file has counted invalid readings already
        elif caution.code != "invalid_readings":
            cautions.add(caution.code, caution.text, caution.quantity)
    power, gain = result.power, conditions.power_gain
    if conditions.power is None and power is not None and gain.standard_uncertainty:
        # the column is exact but for its gain
        result = replace(result, power=Quantity(power.value, "W", power.value * gain.standard_uncertainty))
    preparation.result = result


def _report(
    preparations: Sequence[Preparation],
    conditions: Conditions,
    blank: Blank | None,
    method: str,
    options: FileOptions,
    common: Cautions,
) -> Report:
    documents = [result_json(p.result, method, p.cautions) for p in preparations]
    cautions = _gathered(preparations, common)
    single = len(preparations) == 1
    each = [(p.name, p.result) for p in preparations]
    result = documents[0] if single else combined_json(each, method, cautions)
    given = all(q is not None and q.value > 0 for q in (conditions.absorbance, _capacity(conditions, method)))
    given = given and (conditions.power is not None or all(p.curve.power_w is not None for p in preparations))
    refused = ("efficiency",) if given and result["efficiency"] is None else ()
    rungs = None
    usable = [p for p in preparations if p.result is not None]
    if options.ladder and usable:
        rungs = _ladder(usable[0], conditions, blank, options.seed)
        if not single:
            cautions.append(Caution("ladder_of_one", f"the ladder is that of {usable[0].name}"))
    picture = None
    if options.picture and usable:
        first = usable[0].result
        picture = None if first is None else picture_of(usable[0].name, first, cautions)
    return Report(
        result=result,
        verdict=None,
        cautions=[caution.to_json() for caution in cautions],
        rows=rows_of(each, result),
        ladder=rungs,
        figure_svg=picture,
        refused=refused,
    )


def _capacity(conditions: Conditions, method: str) -> Quantity | None:
    if method == "slope":
        return conditions.liquid_heat_capacity
    if conditions.heat_capacity is not None:
        return conditions.heat_capacity
    both = conditions.liquid_heat_capacity is not None and conditions.wall_heat_capacity is not None
    return conditions.liquid_heat_capacity if both else None


def _gathered(preparations: Sequence[Preparation], common: Cautions) -> list[Caution]:
    """Return all cautions, those that every file shares said once, others with the file's name."""
    gathered = list(common)
    if len(preparations) == 1:
        return gathered + list(preparations[0].cautions)
    seen: dict[tuple[str, str], list[str]] = {}
    for preparation in preparations:
        for caution in preparation.cautions:
            seen.setdefault((caution.code, caution.text), []).append(preparation.name)
    for (code, text), names in seen.items():
        where = "every file" if len(names) == len(preparations) else ", ".join(names)
        gathered.append(Caution(code, f"{where}: {text}"))
    return gathered


def _ladder(preparation: Preparation, conditions: Conditions, blank: Blank | None, seed: int) -> list[dict[str, Any]]:
    from plans.photothermal.ladder import ladder

    with np.errstate(all="ignore"):
        return [rung.to_json() for rung in ladder(preparation.curve, conditions, blank, seed=seed)]
