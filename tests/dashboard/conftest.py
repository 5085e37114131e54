"""Run folders for the pages, and a data folder that holds them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.synthetic import Recipe, write_run
from dashboard.live_run import LiveRun

MakeRun = Callable[..., Path]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data folder."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def make_run(data: Path) -> MakeRun:
    """Write a run into the data folder."""
    return lambda **recipe: write_run(data, Recipe(**recipe))


@pytest.fixture
def follow() -> Iterator[Callable[[Path], LiveRun]]:
    """Follow a run folder; closed afterwards."""
    opened: list[LiveRun] = []

    def start(path: Path) -> LiveRun:
        run = LiveRun(path)
        opened.append(run)
        run.poll()
        return run

    yield start
    for run in opened:
        run.close()
