"""Perform the runs of an assay on an open bench: one after another, journal first, laser off at the end of each."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluesky.preprocessors import SupplementalData

from nanolab import __version__
from nanolab.assay import Assay, Forecast, RunStep, Setup
from nanolab.engine.assembly import Engine, Outcome
from nanolab.engine.progress import ProgressLine
from nanolab.engine.stop_request import StopListener
from nanolab.errors import NanolabError
from nanolab.interfaces import OffReport

if TYPE_CHECKING:
    from nanolab.bench.connect import Bench


@dataclass(frozen=True)
class FinishedRun:
    """A run that was opened: its role, uid and folder."""

    role: str
    uid: str
    path: Path


@dataclass
class Performance:
    """What came of the runs: those that were opened, what ended the series, and how the laser was left."""

    runs: list[FinishedRun] = field(default_factory=list)
    error: BaseException | None = None
    signal_number: int | None = None
    stopped_by: str | None = None
    off: OffReport | None = None

    @property
    def complete(self) -> bool:
        """True if every run came to its planned end."""
        return self.error is None and self.signal_number is None and self.stopped_by is None


def digest(prediction: Mapping[str, Any] | None) -> str | None:
    """Return the SHA-256 of a prediction's canonical JSON, so that nobody can improve it afterwards."""
    if prediction is None:
        return None
    text = json.dumps(prediction, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def run_metadata(setup: Setup, assay: Assay, step: RunStep, forecast: Forecast, bench: "Bench") -> dict[str, Any]:
    """Return what goes into the start document: beliefs, bench, parameters, prediction, what is simulated."""
    return {
        "nanolab_version": __version__,
        "assay": assay.name,
        "role": step.role,
        "expected_s": step.duration_s or None,
        "sample": {"name": setup.sample.sample.name, **setup.sample.model_dump(mode="json")},
        "bench": setup.bench.model_dump(mode="json"),
        "parameters": dict(setup.values),
        "simulated": setup.simulated,
        "simulated_devices": sorted(name for name, simulated in bench.simulated.items() if simulated),
        "instruments": {name: dict(device.identity()) for name, device in bench.instruments.items()},
        "prediction": forecast.prediction if step.role == "sample" else None,
        "prediction_sha256": digest(forecast.prediction) if step.role == "sample" else None,
        **step.metadata,
    }


def perform(
    assay: Assay,
    setup: Setup,
    bench: "Bench",
    forecast: Forecast,
    *,
    progress: bool = True,
    observers: Sequence[Callable[[str, Mapping[str, Any]], object]] = (),
) -> Performance:
    """Run the assay's runs in order until one does not come to its planned end. Nothing is raised.

    Each run has a folder under ``setup.data_root``. Whatever happens, the laser is told to go off and read back
    at the end; the report says whether it was seen to be off.
    """
    from nanolab.journal.writer import RunWriter

    performance = Performance()
    try:
        with (
            RunWriter(setup.data_root, on_failure=bench.emergency_off) as writer,
            StopListener(lambda: writer.path) as stop_requests,
        ):
            engine = Engine(bench.clock, writer, bench.emergency_off, on_pause=writer.pause)
            stop_requests.bind(engine, bench)
            engine.RE.preprocessors.append(SupplementalData(baseline=_for_baseline(bench)))
            bind_safeguard(engine, writer, bench)
            for observer in observers:
                engine.fan_out.add(observer)
            for step in assay.runs(setup, bench, forecast):
                outcome = _one_run(engine, writer, assay, setup, bench, forecast, step, progress, performance)
                performance.error = _explained(outcome.error)
                performance.signal_number = outcome.signal_number
                performance.stopped_by = outcome.stopped_by
                if not performance.complete:
                    break
    except NanolabError as error:
        # a blank that is not there, a last sync that failed: the run before it stands
        performance.error = performance.error or error
    performance.off = bench.emergency_off()
    return performance


def bind_safeguard(engine: Engine, writer: Any, bench: "Bench") -> None:
    """Let a trip that no reading raises end the run, write every trip into it, and have the guardian's log in its folder."""
    safeguard = bench.safeguard
    if safeguard is None:
        return
    safeguard.on_untold = lambda trip: engine.end(trip.error())
    engine.RE.preprocessors.append(safeguard.note.saved_before_close)
    engine.fan_out.add(lambda name, _doc: safeguard.follow(Path(writer.path)) if name == "start" else None)


def _for_baseline(bench: "Bench") -> list[Any]:
    """Return what is read once at the beginning and the end of each run: all but the spectrometer."""
    return [device for role, device in bench.instruments.items() if role != "spectrometer"]


def _one_run(
    engine: Engine,
    writer: Any,
    assay: Assay,
    setup: Setup,
    bench: "Bench",
    forecast: Forecast,
    step: RunStep,
    progress: bool,
    performance: Performance,
) -> Outcome:
    line = ProgressLine(step.role, step.duration_s, simulated=setup.simulated)
    if progress:
        engine.fan_out.add(line)
    references = {run.role: run.uid for run in performance.runs}
    metadata = {**run_metadata(setup, assay, step, forecast, bench), "references": references}
    given = step.metadata.get("references")
    if given:
        metadata["references"] = {**references, **given}
    outcome = engine.run(step.make_plan(metadata))
    if progress:
        engine.fan_out.remove(line)
    if outcome.uids:
        performance.runs.append(FinishedRun(step.role, outcome.uids[-1], Path(writer.path)))
    return outcome


def _explained(error: BaseException | None) -> BaseException | None:
    """Find the error that nanolab can explain behind the engine's own (a failed status hides its reason)."""
    seen: set[int] = set()
    candidate = error
    while candidate is not None and id(candidate) not in seen:
        if isinstance(candidate, NanolabError):
            return candidate
        seen.add(id(candidate))
        inner = candidate.args[0] if candidate.args and isinstance(candidate.args[0], BaseException) else None
        candidate = candidate.__cause__ or inner or candidate.__context__
    return error
