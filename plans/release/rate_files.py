"""`nanolab analyze rates`: rates against temperature (Arrhenius) or against pH, from a table."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.delimited import TextTable, read_table
from nanolab.analysis.file_options import FileOptions
from nanolab.analysis.rate_laws import RateFit, fit_arrhenius, fit_ph_profile
from nanolab.analysis.selection import column_index, select_rows
from nanolab.assay import Parameter, Report
from nanolab.errors import FileInvalidError
from nanolab.quantities import Quantity

AGAINST = ("temperature", "ph")


class RateAnalysis:
    """`nanolab analyze rates`."""

    name = "rates"
    summary = (
        "Rates of release against temperature (Arrhenius) or pH (specific acid, protonation switch), from a table."
    )
    file_options: Collection[str] = ("columns", "where", "lines")

    def file_parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        return (
            Parameter(
                "against",
                "choice",
                None,
                "what the rates are set against; by rule the column that there is",
                choices=AGAINST,
            ),
            Parameter("time_unit", "choice", "h", "unit of time of the rates", choices=("s", "min", "h", "d")),
        )

    def analyze_files(self, options: FileOptions) -> Report:
        """Analyse one table with columns ``temperature`` (degC) or ``ph``, ``rate``, and ``u`` (of the rate) where known."""
        if len(options.files) != 1:
            raise FileInvalidError("rates: give one table; rates of several runs belong into one")
        return analyze_rates(options.files[0], options)


def analyze_rates(path: Path, options: FileOptions) -> Report:
    """Fit the laws. FileInvalidError names file and column where the table cannot be read."""
    table = read_table(path, options.read.lines)
    rows = select_rows(table, options.read.where, fewest=3)
    against = options.settings["against"] or _found(table)
    named = options.read.columns

    def values(kind: str) -> Any:
        index = column_index(table, named.get(kind, kind), f"--columns {kind}=…")
        found = np.array(
            [table.number(row.fields[index]) if index < len(row.fields) else np.nan for row in rows], dtype=float
        )
        if not np.all(np.isfinite(found)):
            raise FileInvalidError(f"{path}: column '{kind}' does not hold a number in every row")
        return found

    x, k = values(against), values("rate")
    relative = values("u") / k if "u" in named or "u" in [h.lower() for h in table.header or ()] else None
    cautions = Cautions()
    if relative is None:
        cautions.add("uncertainty_missing", "no column 'u' states the uncertainties of the rates: all count alike")
    try:
        if against == "temperature":
            return _report([fit_arrhenius(x, k, relative)], None, options, cautions)
        fits, ranking = fit_ph_profile(x, k, relative)
    except ValueError as error:
        raise FileInvalidError(f"{path}: {error}") from error
    if len(ranking.together) > 1:
        cautions.add("not_told_apart", f"k(pH): {ranking.sentence}")
    return _report(fits, ranking.sentence, options, cautions)


def _found(table: TextTable) -> str:
    header = [name.lower() for name in table.header or ()]
    for kind in AGAINST:
        if kind in header:
            return kind
    raise FileInvalidError(f"{table.path}: no column 'temperature' or 'ph'; say which it is with --set against=…")


def _report(fits: Sequence[RateFit], sentence: str | None, options: FileOptions, cautions: Cautions) -> Report:
    unit = str(options.settings["time_unit"])
    models, rows = [], []
    if sentence is not None:
        rows.append(("finding", sentence))
    for one in fits:
        parameters = {}
        for name, interval in one.intervals.items():
            quantity = interval.quantity
            shown = None if quantity is None else _with_unit(quantity, unit)
            parameters[name] = None if shown is None else shown.to_json()
            rows.append((f"{one.name} {name}", f"not identified: {interval.why}" if shown is None else str(shown)))
        models.append({"name": one.name, "parameters": parameters})
    result: dict[str, Any] = {"models": models, "statement": sentence}
    if len(fits) == 1:
        result |= models[0]["parameters"] if isinstance(models[0]["parameters"], dict) else {}
    return Report(result=result, verdict=None, cautions=cautions.to_json(), rows=rows)


def _with_unit(quantity: Quantity, time_unit: str) -> Quantity:
    return Quantity(
        quantity.value, quantity.unit.format(t=time_unit), quantity.standard_uncertainty, quantity.interval_95
    )


RATES = RateAnalysis()
