"""What the guardian did, as JSON lines; a log that cannot be written never keeps the laser on."""

import json
import os
import time
from pathlib import Path
from typing import Any


class GuardLog:
    """Appends one JSON object a line: ``wall`` (s since 1970), ``monotonic_s``, ``event`` and what belongs to it.

    ``problem`` says why a line could not be written, empty while all could. Without a path nothing is written.
    """

    def __init__(self, path: str | None) -> None:
        self.problem = ""
        self._descriptor = -1
        if path is not None:
            try:
                place = Path(path)
                place.parent.mkdir(parents=True, exist_ok=True)
                self._descriptor = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            except OSError as error:
                self.problem = f"the guardian's log {path} cannot be written ({error.strerror})"

    def note(self, event: str, **fields: Any) -> None:
        """Append one line. Never raises."""
        if self._descriptor < 0:
            return
        entry = {"wall": time.time(), "monotonic_s": time.monotonic(), "event": event, **fields}
        line = (json.dumps(entry, default=str) + "\n").encode()
        try:
            # one write a line: an append of this size is not torn by a kill
            if os.write(self._descriptor, line) != len(line):
                self.problem = "the guardian's log is cut short: the disk may be full"
        except OSError as error:
            self.problem = f"the guardian's log cannot be written ({error.strerror})"

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
