"""What all sessions of the page share: the runs being followed, and the runs started from here."""

import contextlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from dashboard.folders import newest_run, unreadable
from dashboard.jobs import Jobs
from dashboard.live_run import LiveRun
from dashboard.start_run import Started
from dashboard.stop_desk import StopDesk
from nanolab.errors import NanolabError

MOST_OPEN = 4
"""Runs kept in memory; a day at ten readings a second takes about 200 MB."""


@dataclass(frozen=True)
class Current:
    """The run that the page shows with its status, or None; and what to say if something is amiss."""

    run: LiveRun | None
    status: str = ""
    words: str = ""


@dataclass
class Store:
    """Runs that are followed, by path; safe to use from several sessions at once."""

    started: list[Started] = field(default_factory=list)
    jobs: Jobs = field(default_factory=Jobs)
    desk: StopDesk = field(default_factory=StopDesk)
    _runs: "OrderedDict[Path, LiveRun]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def current(self, root: Path) -> Current:
        """Return the run that is being written in a data folder, else the newest. Never raises for a bad folder."""
        found = newest_run(root)
        if found.path is None:
            return Current(None, words=found.words)
        return self.look_at(found.path)

    def look_at(self, path: Path) -> Current:
        """Return one run, read up to now. A damaged or foreign folder is said in words."""
        try:
            run = self._opened(path)
            words = ""
            try:
                run.poll()
            except NanolabError as error:
                words = f"{error}. What stands before it is shown."
            return Current(run, run.status(), words)
        except NanolabError as error:
            return Current(None, words=str(error))
        except OSError as error:
            return Current(None, words=unreadable(path, error))

    def _opened(self, path: Path) -> LiveRun:
        with self._lock:
            run = self._runs.pop(path, None) or LiveRun(path)
            self._runs[path] = run
            while len(self._runs) > MOST_OPEN:
                self._runs.popitem(last=False)[1].close()
            return run

    def close(self) -> None:
        """Close all files and the desk."""
        self.desk.close()
        with self._lock:
            for run in self._runs.values():
                run.close()
            self._runs.clear()

    def problems(self) -> list[str]:
        """Say which runs started from here ended badly; looks at each once a call, so that none stays a zombie."""
        return [words for words in (started.words() for started in list(self.started)) if words]

    def forget(self) -> None:
        """Forget what is known of runs that ended, once it was read."""
        with contextlib.suppress(ValueError):
            self.started[:] = [started for started in self.started if started.process.poll() is None]
