"""What an assay brings along: parameters, forecast, runs, analysis. Found through the entry points `nanolab.plans`."""

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bluesky.utils import Msg

from nanolab.errors import UsageError, nearest

if TYPE_CHECKING:
    from nanolab.bench.config import BenchConfig
    from nanolab.bench.connect import Bench
    from nanolab.bench.sample import SampleConfig
    from nanolab.journal.reader import Run

Plan = Generator[Msg, Any, Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a plan, as `--set NAME=VALUE` sees it.

    ``kind`` is ``number``, ``integer``, ``numbers`` (a list), ``quantity`` (with its uncertainty), ``text`` or
    ``choice``. A default of None means that a rule of the plan decides.
    """

    name: str
    kind: str
    default: Any
    meaning: str
    unit: str = "1"
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> Any:
        """Read a value from the command line; UsageError naming the parameter where it does not fit."""
        try:
            return self._read(text.strip())
        except ValueError as error:
            raise UsageError(f"--set {self.name}={text}: {error}") from error

    def _read(self, text: str) -> Any:
        from nanolab.quantities import parse_quantity

        if text.lower() in {"none", "rule"} and self.default is None:
            return None
        if self.kind == "text":
            return text
        if self.kind == "choice":
            if text not in self.choices:
                raise ValueError(nearest(text, list(self.choices)))
            return text
        if self.kind == "numbers":
            return [self._limited(parse_quantity(part, self.unit).value) for part in text.strip("[]").split(",")]
        quantity = parse_quantity(text, self.unit)
        value = self._limited(quantity.value)
        if self.kind == "quantity":
            return quantity
        if self.kind == "integer":
            if value != int(value):
                raise ValueError("a whole number is wanted")
            return int(value)
        return value

    def _limited(self, value: float) -> float:
        if self.low is not None and value < self.low:
            raise ValueError(f"it must be at least {self.low:g} {self.unit}")
        if self.high is not None and value > self.high:
            raise ValueError(f"it must be at most {self.high:g} {self.unit}")
        return value


@dataclass(frozen=True)
class Setup:
    """What a run is made from: the files as checked, the parameters as parsed, and what the call asked for."""

    bench: "BenchConfig"
    sample: "SampleConfig"
    values: Mapping[str, Any]
    blank: str
    data_root: Path
    simulated: bool
    continued: "Run | None" = None
    """The run that broke off and is to go on, where the call names one."""


@dataclass(frozen=True)
class Forecast:
    """What is expected before the first byte is sent.

    ``prediction`` is the machine-readable prediction (None for a plan that predicts nothing), ``steps`` the
    plan in words, one line a step.
    """

    minutes: float
    joules: float
    seconds_on: float
    peak_power_w: float
    peak_temperature_c: float | None
    prediction: dict[str, Any] | None
    steps: Sequence[str]
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunStep:
    """One run of an assay: its role (sample, blank, reference) and the plan that makes it."""

    role: str
    make_plan: Callable[[Mapping[str, Any]], Plan]
    duration_s: float
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What the analysis says: machine-readable result, verdict, cautions, text rows, and a figure.

    ``refused`` names the quantities whose inputs were all given and which are null all the same.
    """

    result: dict[str, Any] | None
    verdict: dict[str, Any] | None
    cautions: Sequence[Mapping[str, str]]
    rows: Sequence[tuple[str, str]]
    ladder: Sequence[Mapping[str, Any]] | None = None
    figure_svg: bytes | None = None
    refused: Sequence[str] = ()


class Assay(Protocol):
    """An assay as its package exports it (module attribute named by the entry point).

    One that can go on with a run that broke off (``Setup.continued``) has an attribute ``continues = True``.
    """

    name: str
    summary: str
    emits: bool
    roles: Sequence[str]
    plan: Callable[..., Plan]

    def parameters(self) -> Sequence[Parameter]:
        """List the parameters that `--set` takes."""

    def forecast(self, setup: Setup) -> Forecast:
        """Predict the run from files and earlier runs only; nothing is opened."""

    def runs(self, setup: Setup, bench: "Bench", forecast: Forecast) -> Iterator[RunStep]:
        """Yield the runs in order."""

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Analyse the finished runs by role; None for a plan without an analysis."""


def parse_settings(assay: Assay, settings: Sequence[str]) -> dict[str, Any]:
    """Check `--set NAME=VALUE` texts against the plan's parameters and fill in the defaults.

    UsageError names the nearest parameter where one is unknown.
    """
    parameters = {parameter.name: parameter for parameter in assay.parameters()}
    values = {name: parameter.default for name, parameter in parameters.items()}
    for setting in settings:
        name, separator, text = setting.partition("=")
        name = name.strip()
        if not separator:
            raise UsageError(f"--set {setting}: write NAME=VALUE")
        if name not in parameters:
            raise UsageError(
                f"--set {name}: the plan '{assay.name}' has no such parameter; {nearest(name, list(parameters))}"
            )
        values[name] = parameters[name].parse(text)
    return values


def check_signature(assay_parameters: Sequence[Parameter], plan: Callable[..., Any]) -> None:
    """Raise TypeError where a listed parameter is not one of the plan function's keywords."""
    known = inspect.signature(plan).parameters
    missing = [parameter.name for parameter in assay_parameters if parameter.name not in known]
    if missing:
        raise TypeError(f"{plan.__name__} takes no {', '.join(missing)}")
