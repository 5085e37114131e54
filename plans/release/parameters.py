"""What `--set` takes in the analyses of release, similarity and encapsulation."""

from nanolab.analysis.release_laws import LAWS
from nanolab.analysis.similarity import COMPLETE_PERCENT, DEFAULT_DRAWS, RULES
from nanolab.assay import Parameter

GROUP = Parameter(
    "group", "text", None, "Column that tells several profiles in one file apart; columns of text do so by rule."
)
TIME_UNIT = Parameter(
    "time_unit", "choice", None, "Unit of the times where the heading gives none.", choices=("s", "min", "h", "d")
)

RELEASE = (
    GROUP,
    TIME_UNIT,
    Parameter("models", "text", "all", f"Laws to fit, with commas between: {', '.join(LAWS)}."),
    Parameter("lag", "choice", "no", "Fit every law with a lag time too.", choices=("no", "yes")),
    Parameter(
        "weights", "choice", "auto",
        "auto: stated standard deviations or the scatter of replicates, else the rule; rule: 0.5 % or 3 % of the release.",
        choices=("auto", "rule", "equal"),
    ),
    Parameter(
        "origin", "choice", "drop", "Points at time zero, where every law is nothing: drop them or keep them.",
        choices=("drop", "keep"),
    ),
    Parameter("intervals", "choice", "all", "Intervals of all laws, or of those with support.", choices=("all", "contenders")),
    Parameter("volume_ml", "quantity", None, "Volume of the vessel, for files of concentrations.", "mL", 1e-6, 1e6),
    Parameter("sample_ml", "quantity", None, "Volume of a sample; default none withdrawn.", "mL", 0.0, 1e6),
    Parameter("dose_ug", "quantity", None, "Cargo in the vessel at the start.", "ug", 1e-9, 1e12),
    Parameter("remaining_ug", "quantity", None, "Cargo found in the carrier at the end: gives the mass balance.", "ug", 0.0, 1e12),
    Parameter("replaced", "choice", "yes", "Whether fresh medium replaced each sample.", choices=("yes", "no")),
    Parameter(
        "carrier_withdrawn", "choice", "no", "Whether samples took carrier with them (no filter, no membrane).",
        choices=("no", "yes"),
    ),
    Parameter(
        "membrane_per_h", "quantity", None, "Transfer rate of the dialysis membrane, measured with free drug.", "1/h", 1e-6, 1e6
    ),
)  # fmt: skip

SIMILARITY = (
    Parameter("rule", "choice", "ema", "Which points are compared (also --rule).", choices=RULES),
    Parameter("product", "text", None, "Column that tells reference and test apart."),
    Parameter("reference", "text", None, "Its value for the reference; by rule one that begins with R."),
    Parameter("test", "text", None, "Its value for the test; by rule every other one."),
    TIME_UNIT,
    Parameter("complete_percent", "number", COMPLETE_PERCENT, "Release that counts as complete.", "%", 50.0, 100.0),
    Parameter("bootstrap", "choice", "bca", "Kind of the bootstrap interval.", choices=("bca", "percentile")),
    Parameter("draws", "integer", DEFAULT_DRAWS, "Resamplings of the units.", low=200, high=200000),
)

ENCAPSULATION = (
    Parameter(
        "total_u_percent",
        "number",
        None,
        "Relative standard uncertainty of the totals, where no column tells.",
        "%",
        0.0,
        100.0,
    ),
    Parameter("free_u_percent", "number", None, "The same of the free cargo.", "%", 0.0, 100.0),
    Parameter("particles_u_percent", "number", None, "The same of the mass of particles.", "%", 0.0, 100.0),
)
