"""`nanolab analyze release`: profiles from files, corrected for sampling, under every release law."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nanolab.analysis.cautions import Caution, Cautions
from nanolab.analysis.delimited import read_table
from nanolab.analysis.file_options import FileOptions
from nanolab.analysis.release_laws import LAWS, ReleaseLaw, membrane_law, with_lag
from nanolab.analysis.sampling import mass_balance, released_amount, released_share_with_carrier
from nanolab.analysis.selection import select_rows
from nanolab.assay import Report
from nanolab.errors import UsageError, nearest
from nanolab.quantities import Quantity
from plans.release.columns import HOURS_PER
from plans.release.comparison import Comparison, compare_laws
from plans.release.profiles import Profile, check_percent, profiles_of

BALANCE_OFF = 0.05
"""Part of the dose that may be missing before the mass balance is said not to close."""


def analyze_release(options: FileOptions) -> Report:
    """Analyse the files of one call of `nanolab analyze release`.

    Returns
    -------
    Report
        Of one profile its models; of several ``each`` and how often a law was preferred. ``refused`` names the models
        where not one profile could be described.

    Raises
    ------
    FileInvalidError, UsageError
        A file cannot be read as profiles, or a setting does not fit it.
    """
    settings = options.settings
    common = Cautions()
    laws = laws_of(settings)
    comparisons, balances = [], []
    for path in options.files:
        table = read_table(path, options.read.lines)
        rows = select_rows(table, options.read.where)
        profiles = profiles_of(table, rows, options.read.columns, settings["group"], settings["time_unit"])
        for profile in profiles:
            named = profile if len(options.files) == 1 else _named(profile, path.stem)
            percent, balance = to_percent(named, settings, common)
            one = Cautions()
            check_percent(path, percent, one)
            comparison = compare_laws(
                replace(percent, notes=(*percent.notes, *one)), _with_membrane(laws, settings, percent), settings
            )
            _membrane_caution(comparison, settings)
            comparisons.append(comparison)
            balances.append(balance)
    return _report(comparisons, balances, common, options.picture)


def _named(profile: Profile, stem: str) -> Profile:
    return profile if profile.label.startswith(stem) else replace(profile, label=f"{stem} {profile.label}")


def laws_of(settings: Mapping[str, Any]) -> list[ReleaseLaw]:
    """Return the laws that were asked for, with their lagged forms; UsageError for an unknown name."""
    names = [name.strip() for name in str(settings["models"]).split(",")]
    if names == ["all"]:
        names = list(LAWS)
    for name in names:
        if name not in LAWS:
            raise UsageError(f"--set models={name}: no such release law; {nearest(name, list(LAWS))}")
    laws = [LAWS[name] for name in dict.fromkeys(names)]
    return laws + [with_lag(law) for law in laws] if settings["lag"] == "yes" else laws


def _with_membrane(laws: Sequence[ReleaseLaw], settings: Mapping[str, Any], profile: Profile) -> list[ReleaseLaw]:
    km = settings["membrane_per_h"]
    return [*laws] if km is None else [*laws, membrane_law(km.value * HOURS_PER[profile.time_unit])]


def _membrane_caution(comparison: Comparison, settings: Mapping[str, Any]) -> None:
    km = settings["membrane_per_h"]
    fit = None if km is None else comparison.result("membrane_limited").fit
    if fit is not None and km.value * HOURS_PER[comparison.profile.time_unit] < 3.0 * fit.values[1]:
        comparison.cautions.add(
            "membrane_limits",
            f"{comparison.profile.label}: the membrane ({km}) is not three times faster than the release "
            f"({fit.values[1]:.3g} 1/{comparison.profile.time_unit}): the profile shows the bag as much as the carrier",
        )


def to_percent(profile: Profile, settings: Mapping[str, Any], cautions: Cautions) -> tuple[Profile, Quantity | None]:
    """Turn concentrations of samples into percent of the dose, and close the mass balance where it was asked for.

    UsageError where volume or dose is missing for concentrations, or given for a file that is in percent already.
    """
    stated = [name for name in ("volume_ml", "sample_ml", "dose_ug", "remaining_ug") if settings[name] is not None]
    if profile.is_percent:
        if stated:
            raise UsageError(f"--set {stated[0]}: the file gives percent of the dose already; it serves concentrations")
        return profile, None
    volume, dose = settings["volume_ml"], settings["dose_ug"]
    for name, value in (("volume_ml", volume), ("dose_ug", dose)):
        if value is None:
            raise UsageError(f"--set {name}=…: concentrations need it to become percent of the dose")
    withdrawn = 0.0 if settings["sample_ml"] is None else settings["sample_ml"].value
    with_carrier, replaced = settings["carrier_withdrawn"] == "yes", settings["replaced"] == "yes"
    try:
        if with_carrier:
            share = released_share_with_carrier(profile.values, volume.value, withdrawn, dose.value, replaced=replaced)
        else:
            share = released_amount(profile.values, volume.value, withdrawn, replaced=replaced) / dose.value
    except ValueError as error:
        raise UsageError(f"--set sample_ml={withdrawn:g}: {profile.label}: {error}") from error
    if settings["sample_ml"] is None:
        cautions.add("sampling_not_corrected", "no sample volume was stated: nothing is taken to have been withdrawn")
    _scale_caution(dose, volume, cautions)
    sd = None if profile.sd is None else 100.0 * profile.sd * volume.value / dose.value
    percent = replace(profile, values=100.0 * share, sd=sd, is_percent=True)
    return percent, _balance(profile.label, float(share[-1]), settings, cautions)


def _scale_caution(dose: Quantity, volume: Quantity, cautions: Cautions) -> None:
    relative = float(np.linalg.norm([(q.standard_uncertainty or 0.0) / q.value for q in (dose, volume)]))
    if relative > 0:
        cautions.add(
            "common_scale",
            f"dose and volume together are known to {100 * relative:.2g} %: every percent and plateau shares that "
            "uncertainty beyond its interval",
        )


def _balance(label: str, released: float, settings: Mapping[str, Any], cautions: Cautions) -> Quantity | None:
    remaining, dose, volume = settings["remaining_ug"], settings["dose_ug"], settings["volume_ml"]
    if remaining is None:
        return None
    found = mass_balance(released * dose.value, remaining.value, dose.value)
    terms = (
        (remaining.standard_uncertainty or 0.0) / dose.value,
        found * (dose.standard_uncertainty or 0.0) / dose.value,
        released * (volume.standard_uncertainty or 0.0) / volume.value,
    )
    u = float(np.sqrt(np.sum(np.square(terms))))
    balance = Quantity(100.0 * found, "%", 100.0 * u if u > 0 else None)
    if abs(found - 1.0) > max(BALANCE_OFF, 2.0 * u):
        cautions.add(
            "mass_balance", f"{label}: {balance} of the dose was found again: cargo was lost, or the dose is off"
        )
    return balance


def _report(
    comparisons: Sequence[Comparison], balances: Sequence[Quantity | None], common: Cautions, picture: bool
) -> Report:
    each = []
    for comparison, balance in zip(comparisons, balances, strict=True):
        each.append(comparison.to_json() | {"mass_balance": None if balance is None else balance.to_json()})
    described = [comparison for comparison in comparisons if comparison.ranking.order]
    result: dict[str, Any]
    if len(each) == 1:
        result = each[0] if described else each[0] | {"models": None, "unranked": each[0]["models"]}
    else:
        result = {"models": None, "each": each, "preferred": _preferences(comparisons)}
    cautions: list[Caution] = [*common, *(caution for comparison in comparisons for caution in comparison.cautions)]
    from plans.release.figure import draw
    from plans.release.release_report import rows_of

    return Report(
        result=result,
        verdict=None,
        cautions=[caution.to_json() for caution in _once(cautions)],
        rows=rows_of(comparisons, balances),
        figure_svg=draw(comparisons) if picture else None,
        refused=() if described else ("models",),
    )


def _preferences(comparisons: Sequence[Comparison]) -> dict[str, int]:
    """How many profiles prefer each law; those with no single one count as none."""
    counts = Counter(comparison.ranking.preferred or "none" for comparison in comparisons)
    return dict(counts.most_common())


def _once(cautions: Sequence[Caution]) -> list[Caution]:
    return list(dict.fromkeys(cautions))
