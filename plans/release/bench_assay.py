"""What the release assays have in common: runs from an outline, forecast, continuation, and the report's frame."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nanolab.assay import Forecast, Parameter, Plan, Report, RunStep, Setup
from plans.release.bench_plan import CoursePlan, Kept, course, medium
from plans.release.continuing import Before, broken_off
from plans.release.devices import Benchful
from plans.release.outline import Expected, RoleCourse
from plans.release.replay import replayed
from plans.release.schedule import Step

if TYPE_CHECKING:
    from nanolab.bench.connect import Bench
    from nanolab.journal.reader import Run

MEDIUM_S = 700.0
"""Warming the medium and finding the integration time, about, s."""

TEMPERATURE = Parameter("temperature_c", "number", 37.0, "temperature of the liquid", "degC", 4.0, 60.0)
CADENCE = Parameter("cadence_s", "number", 60.0, "lab seconds between temperatures", "s", 0.5, 600.0)
BLANKS = Parameter(
    "blanks", "integer", 5, "times the medium is put in anew: blanks for the limit of detection", low=1, high=20
)


class ReleaseAssay:
    """`nanolab run NAME` for one of the release assays; what differs is in the methods that raise here."""

    name = ""
    summary = ""
    emits = False
    continues = True
    roles: Sequence[str] = ("spectrometer", "cuvette_holder")
    plan = staticmethod(course)

    def parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        raise NotImplementedError

    def outline(self, values: Mapping[str, Any]) -> Sequence[RoleCourse]:
        """Return the courses in order; the sample's own has the role ``sample``."""
        raise NotImplementedError

    def expected(self, setup: Setup) -> Expected:
        """Predict from the sample file."""
        raise NotImplementedError

    def analyze(self, setup: Setup, runs: Mapping[str, "Run"], forecast: Forecast, ladder: bool) -> Report | None:
        """Analyse the finished runs."""
        raise NotImplementedError

    # ---- nanolab.assay.Assay

    def forecast(self, setup: Setup) -> Forecast:
        """Predict from the files alone: nothing is opened."""
        courses, prediction = self.outline(setup.values), self.expected(setup)
        total_s = MEDIUM_S + sum(one.seconds for one in courses)
        heated = [one for one in courses if one.emits]
        powers = [(step.at_s, step.value) for one in heated for step in one.steps if step.what == "power"]
        on_s, joules = _light(heated)
        temperatures = [step.value for one in courses for step in one.steps if step.what == "temperature"]
        rise = float(setup.values["rise_k"]) if heated else 0.0
        peak = max([*temperatures, *(one.temperature_c for one in courses)]) + rise
        return Forecast(
            minutes=total_s / 60.0,
            joules=joules,
            seconds_on=on_s,
            peak_power_w=max((power for _, power in powers), default=0.0),
            peak_temperature_c=peak,
            prediction=prediction.to_json(),
            steps=_words(courses),
            inputs={"expected": prediction, "outline": courses},
        )

    def runs(self, setup: Setup, bench: "Bench", forecast: Forecast) -> Iterator[RunStep]:
        """Yield the medium, the controls and the sample in the order of the outline."""
        kept = Kept()
        courses: Sequence[RoleCourse] = forecast.inputs["outline"]
        values = setup.values
        if setup.continued is not None:
            yield from self._continuation(setup, bench, kept, courses)
            return
        make = partial(_medium, self._bench(bench), kept, float(values["temperature_c"]), int(values.get("blanks", 1)))
        yield RunStep("reference", make, MEDIUM_S)
        for one in courses:
            make_course = partial(_course, self._bench(bench), kept, one, setup, Before())
            yield RunStep(one.role, make_course, one.seconds)

    def _continuation(
        self, setup: Setup, bench: "Bench", kept: Kept, courses: Sequence[RoleCourse]
    ) -> Iterator[RunStep]:
        """Yield the course that broke off from its next time point on, and those after it, referring to what was there before."""
        old = broken_off(setup, self.name, courses)
        if old.integration_s is not None:
            kept.integration["integration_s"] = old.integration_s
        kept.over_k = old.over_k
        kept.rows += old.sample_rows
        ahead = courses[[one.role for one in courses].index(old.role) :]
        for one in ahead:
            before = old.before if one.role == old.role else Before()
            make = partial(_course, self._bench(bench), kept, one, setup, before)
            yield RunStep(one.role, make, one.seconds, {"references": dict(old.references)})

    def _bench(self, bench: "Bench") -> Benchful:
        found = {role: bench.devices.get(role) for role in ("thermocouple", "cuvette", "addition", "aliquot")}
        wanted = {
            role: bench.devices.get(role)
            for role in ("laser", "pump", "ph")
            if role in self.roles or (role == "laser" and self.emits)
        }
        return Benchful(
            bench.devices["spectrometer"], bench.devices["cuvette_holder"], clock=bench.clock, **found, **wanted
        )


def _medium(bench: Benchful, kept: Kept, temperature_c: float, blanks: int, md: Mapping[str, Any]) -> Plan:
    return medium(bench, kept, temperature_c=temperature_c, blanks=blanks, md=md)


def _course(
    bench: Benchful,
    kept: Kept,
    one: RoleCourse,
    setup: Setup,
    before: Before,
    md: Mapping[str, Any],
) -> Plan:
    steps = list(one.steps)
    if one.replay:
        steps += replayed(kept.rows, one.cadence_s)
    keep = one.role == "sample"
    plan = CoursePlan(
        one.contents,
        steps,
        one.temperature_c,
        one.cadence_s,
        before.begun_s,
        before.done,
        before.sampled_s,
        one.emits,
        keep,
    )
    return course(bench, kept, plan, md={**md, "over_k": kept.over_k})


def _light(courses: Sequence[RoleCourse]) -> tuple[float, float]:
    """Return seconds with the laser on and joules on the sample, the longest of the courses (each has its own sample)."""
    most = (0.0, 0.0)
    for one in courses:
        on_s = joules = 0.0
        powers = [(step.at_s, step.value) for step in one.steps if step.what == "power"]
        for (start, power), (end, _) in zip(powers, [*powers[1:], (one.seconds, 0.0)], strict=True):
            on_s += end - start if power > 0.0 else 0.0
            joules += power * (end - start)
        most = max(most, (on_s, joules))
    return most


def _words(courses: Sequence[RoleCourse]) -> list[str]:
    lines = ["load the medium; warm it, find the integration time, take dark and light spectra"]
    for one in courses:
        looks = sum(step.what == "look" for step in one.steps)
        deeds = [_deed(step) for step in one.steps if step.what != "look"]
        length = f"{one.seconds / 3600:.3g} h" if one.seconds > 3600 else f"{one.seconds / 60:.3g} min"
        text = f"{one.role}: load '{one.contents}' at {one.temperature_c:g} °C, {looks} looks in {length}"
        if one.replay:
            text += ", the holder following the temperatures of the sample's run"
        lines.append(text + ("; " + ", ".join(deeds[:8]) if deeds else ""))
    lines.append("every look: laser off, dark and light spectrum, the assay light on only while it reads")
    lines.append("analyse, compare with the prediction, write result.json and figure.svg")
    return lines


def _deed(step: Step) -> str:
    minutes = f"at {step.at_s / 60:.3g} min"
    if step.what == "load":
        return f"a fresh '{step.word}' {minutes}"
    words = {
        "temperature": f"{step.value:g} °C",
        "power": f"laser {step.value:g} W",
        "ph": f"acid to pH {step.value:g}",
        "sample": f"{step.value:g} mL withdrawn" + (" and replaced" if step.word else ""),
    }
    return f"{words.get(step.what, 'add ' + step.word)} {minutes}"
