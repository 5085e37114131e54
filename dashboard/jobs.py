"""Work that takes longer than a page may: done beside it, so that banner and STOP go on meanwhile."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

MOST_KEPT = 12


class Job:
    """One piece of work in a thread of its own. ``value`` and ``error`` count once `wait` says True."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.value: Any = None
        self.error: Exception | None = None
        self._done = threading.Event()
        self._work = work
        # a daemon: an analysis that is under way keeps no server from ending
        threading.Thread(target=self._run, name="page-job", daemon=True).start()

    def _run(self) -> None:
        try:
            self.value = self._work()
        except Exception as error:  # noqa: BLE001 - whatever an assay's code makes of a strange run is said, and costs this view only
            self.error = error
        finally:
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long in wall time, and say whether the work is done."""
        return self._done.wait(seconds)


class Jobs:
    """Jobs by key, the last MOST_KEPT of them; several sessions that ask for the same share one."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, work: Callable[[], Any]) -> Job:
        """Return the job of this key, begun now where there is none yet."""
        with self._lock:
            job = self._jobs.pop(key, None) or Job(work)
            self._jobs[key] = job
            while len(self._jobs) > MOST_KEPT:
                self._jobs.popitem(last=False)
            return job

    def wait_for_all(self, seconds: float) -> bool:
        """Wait for each job at most so long; say whether all are done."""
        with self._lock:
            jobs = list(self._jobs.values())
        return all(job.wait(seconds) for job in jobs)
