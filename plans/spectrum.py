"""Take spectra of whatever is in the beam path, laser off: dark, then light, n times."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp

from nanolab.assay import Forecast, Parameter, Plan, Report, RunStep, Setup
from nanolab.engine.clock import Clock, WallClock
from plans.stubs import Lamp, RunState

if TYPE_CHECKING:
    from nanolab.bench.connect import Bench
    from nanolab.journal.reader import Run


def spectrum(
    spectrometer: Any,
    *,
    repeats: int = 1,
    interval_s: float = 1.0,
    clock: Clock | None = None,
    md: Mapping[str, Any] | None = None,
) -> Plan:
    """Take one dark spectrum (lamp off) and `repeats` light ones, `interval_s` lab seconds apart."""
    lab_clock = clock or WallClock()
    state = RunState(lab_clock)
    lamp = Lamp(spectrometer)

    @bpp.stage_decorator([spectrometer])  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    @bpp.run_decorator(md={"plan_name": "spectrum", **(md or {})})  # type: ignore[untyped-decorator]  # as above
    def whole() -> Plan:
        state.phase = "dark"
        yield from bps.trigger_and_read([spectrometer, state], name="spectra")
        yield from bps.mv(lamp, True)
        state.phase = "light"
        for count in range(repeats):
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([spectrometer, state], name="spectra")
            if count + 1 < repeats:
                yield from bps.sleep(interval_s)
        yield from bps.mv(lamp, False)

    return (yield from whole())


class SpectrumAssay:
    """`nanolab run spectrum`: a look at the spectrometer, laser off."""

    name = "spectrum"
    summary = "Dark and light spectra of what is in the beam path; the laser stays off."
    emits = False
    plan = staticmethod(spectrum)
    roles: Sequence[str] = ("spectrometer",)

    def parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        return (
            Parameter("repeats", "integer", 1, "light spectra to take", low=1, high=100000),
            Parameter("interval_s", "number", 1.0, "lab seconds between them", unit="s", low=0.0),
        )

    def forecast(self, setup: Setup) -> Forecast:
        """Say how long it takes; nothing is predicted."""
        repeats, interval = setup.values["repeats"], setup.values["interval_s"]
        steps = ["lamp off: dark spectrum", f"lamp on: {repeats} spectra, {interval:g} s apart", "lamp off"]
        return Forecast((repeats - 1) * interval / 60.0, 0.0, 0.0, 0.0, None, None, steps)

    def runs(self, setup: Setup, bench: "Bench", forecast: Forecast) -> Iterator[RunStep]:
        """Make the one run."""

        def make(md: Mapping[str, Any]) -> Plan:
            return spectrum(bench.devices["spectrometer"], clock=bench.clock, md=md, **setup.values)

        yield RunStep("sample", make, forecast.minutes * 60.0)

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Leave the spectra as they are."""
        return None


ASSAY = SpectrumAssay()
