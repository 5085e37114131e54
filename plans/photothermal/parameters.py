"""The parameters of the photothermal plan, as `--set` and `nanolab plans photothermal` know them."""

from nanolab.assay import Parameter

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("power_w", "number", 0.5, "optical power at the sample plane", unit="W", low=0.001, high=50.0),
    Parameter(
        "powers_w",
        "numbers",
        None,
        "a series of powers, one cycle each; the result then tells whether ΔT is linear in P",
        unit="W",
        low=0.001,
        high=50.0,
    ),
    Parameter("cycles", "integer", 1, "heatings at power_w", low=1, high=100),
    Parameter("cadence_s", "number", 1.0, "lab seconds between readings", unit="s", low=0.1, high=60.0),
    Parameter(
        "baseline_s", "number", None, "fixed length of the baseline (rule: drift below 0.05 K/min)", unit="s", low=5.0
    ),
    Parameter(
        "heat_s", "number", None, "fixed length of each heating (rule: steady, or the time-out)", unit="s", low=5.0
    ),
    Parameter(
        "cool_s", "number", None, "fixed length of each cooling (rule: steady, or the time-out)", unit="s", low=5.0
    ),
    Parameter("spectrum", "text", "measure", "'measure', 'none', or a spectrum file of the sample to import"),
    Parameter("steady_slope", "number", 0.03, "plateau: slope below this, in K/min", unit="K/min", low=1e-4, high=10.0),
    Parameter(
        "steady_tolerance",
        "number",
        0.08,
        "plateau: change across three minutes below this",
        unit="K",
        low=1e-3,
        high=10.0,
    ),
    Parameter("heat_timeout_s", "number", 3600.0, "heating and cooling end here at the latest", unit="s", low=60.0),
)
