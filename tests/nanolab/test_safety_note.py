"""A trip in the `operator` stream: saved by a plan on its way out, read back from the journal."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky import RunEngine
from bluesky.utils import Msg

from nanolab.journal.reader import open_run
from nanolab.journal.writer import RunWriter
from nanolab.safety.note import TripNote
from nanolab.safety.trip import Trip

TRIP = Trip("forecast", 61.0, 60.0, "degC", "it heats", 12.0, 1.7e9, 0.001, float("nan"), False, "still on", True)


def test_a_plan_that_ends_writes_the_trip_down(tmp_path: Path) -> None:
    note = TripNote(lambda: 13.0)
    assert not note.waiting
    assert note.read() == {}
    assert note.read_configuration() == note.describe_configuration() == {}

    def inner() -> Generator[Msg, Any, None]:
        yield from bps.open_run()
        note(TRIP)
        yield from bps.close_run()

    engine = RunEngine({}, context_managers=[], preprocessors=[note.saved_before_close])
    with RunWriter(tmp_path) as journal:
        engine.subscribe(journal)
        engine(bpp.stage_wrapper(inner(), []))
        path = journal.path
    assert not note.waiting
    assert path is not None
    table = open_run(path).table("operator")
    assert list(table["trip_rule"]) == ["forecast"]
    assert table["trip_value"][0] == 61.0
    assert str(table["trip_off_s"][0]) == "nan"
    assert table["trip_off_confirmed"][0] == 0
