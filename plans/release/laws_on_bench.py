"""A profile measured on the bench under the release laws for files, the membrane and the evaporation taken out."""

from typing import TYPE_CHECKING, Any

import numpy as np

from nanolab.analysis.release_laws import LAWS
from plans.release.comparison import compare_laws
from plans.release.profiles import Profile

if TYPE_CHECKING:
    from plans.release.bench_report import Findings

SETTINGS = {"weights": "equal", "origin": "drop", "intervals": "contenders"}
COMPARED = (
    "zero_order",
    "first_order",
    "higuchi",
    "korsmeyer_peppas",
    "hixson_crowell",
    "weibull",
    "reciprocal",
    "biphasic",
)


def models_of(findings: "Findings") -> dict[str, Any]:
    """Rank the laws on the carriers' own profile: dK = G' - k K is undone by adding what is still behind the membrane.

    With O the percent seen beyond the membrane, G = O + O'/k: O' from the fitted course, so that noise is not
    differentiated. Points from the first hour on, where the cuvette is warm. Where aliquots were taken O jumps, and G is that of
    their balance: what was seen, and what went with them.
    """
    line = findings.lines[-1]
    found = findings.joint.found
    membrane, drift = found["membrane_rate"].value, found["drift"].value
    fitted = line.percent if line.fitted is None else line.fitted
    slope = np.gradient(fitted * (1.0 - drift * line.time_h), line.time_h)
    released = line.percent * (1.0 - drift * line.time_h) + slope / membrane
    if findings.balance is not None:
        released = findings.balance.released
    count = released.size
    profile = Profile("carriers", line.time_h, released, True, None, None, 1, np.arange(1, count + 1), "h", ())
    comparison = compare_laws(profile, [LAWS[name] for name in COMPARED], SETTINGS)
    return comparison.to_json()
