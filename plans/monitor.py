"""Watch temperatures, and spectra where asked for, until stopped; laser off."""

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


def monitor(
    thermocouple: Any,
    spectrometer: Any = None,
    *,
    cadence_s: float = 1.0,
    spectrum_every_s: float | None = None,
    duration_s: float | None = None,
    clock: Clock | None = None,
    md: Mapping[str, Any] | None = None,
) -> Plan:
    """Read temperatures every `cadence_s` lab seconds until `duration_s` has passed, or until stopped (None).

    With `spectrum_every_s` a spectrum is taken at that interval, the lamp on only while it reads.
    """
    lab_clock = clock or WallClock()
    state = RunState(lab_clock)
    state.phase = "monitor"
    devices = [device for device in (thermocouple, spectrometer) if device is not None]

    def spectrum() -> Plan:
        lamp = Lamp(spectrometer)
        yield from bps.mv(lamp, True)
        yield from bps.trigger_and_read([spectrometer, state], name="spectra")
        yield from bps.mv(lamp, False)

    @bpp.stage_decorator(devices)  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    @bpp.run_decorator(md={"plan_name": "monitor", **(md or {})})  # type: ignore[untyped-decorator]  # as above
    def whole() -> Plan:
        start = lab_clock.now()
        next_spectrum = 0.0
        count = 0
        while duration_s is None or lab_clock.now() - start < duration_s:
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([thermocouple, state], name="primary")
            if spectrometer is not None and spectrum_every_s and lab_clock.now() - start >= next_spectrum:
                yield from spectrum()
                next_spectrum += spectrum_every_s
            count += 1
            yield from bps.sleep(max(0.0, start + count * cadence_s - lab_clock.now()))

    return (yield from whole())


class MonitorAssay:
    """`nanolab run monitor`: temperatures and spectra until stopped, laser off."""

    name = "monitor"
    summary = "Temperatures, and spectra where asked for, until stopped; the laser stays off."
    emits = False
    plan = staticmethod(monitor)
    roles: Sequence[str] = ("thermocouple",)

    def parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        return (
            Parameter("cadence_s", "number", 1.0, "lab seconds between readings", unit="s", low=0.05),
            Parameter("spectrum_every_s", "number", None, "lab seconds between spectra (none)", unit="s", low=1.0),
            Parameter("duration_s", "number", None, "length in lab seconds (until stopped)", unit="s", low=0.0),
        )

    def forecast(self, setup: Setup) -> Forecast:
        """Say how long it takes; nothing is predicted."""
        duration = setup.values["duration_s"]
        length = "until stopped" if duration is None else f"for {duration:g} s"
        steps = [f"read temperatures every {setup.values['cadence_s']:g} s {length}"]
        if setup.values["spectrum_every_s"]:
            steps.append(f"take a spectrum every {setup.values['spectrum_every_s']:g} s, lamp on only while it reads")
        return Forecast((duration or 0.0) / 60.0, 0.0, 0.0, 0.0, None, None, steps)

    def runs(self, setup: Setup, bench: "Bench", forecast: Forecast) -> Iterator[RunStep]:
        """Make the one run."""
        wanted = setup.values["spectrum_every_s"]
        spectrometer = bench.devices.get("spectrometer") if wanted else None

        def make(md: Mapping[str, Any]) -> Plan:
            thermocouple = bench.devices["thermocouple"]
            return monitor(thermocouple, spectrometer, clock=bench.clock, md=md, **setup.values)

        yield RunStep("sample", make, forecast.minutes * 60.0)

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Leave the readings as they are."""
        return None


ASSAY = MonitorAssay()
