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
        self._armed = b""
        if path is not None:
            self._open(path)

    def _open(self, path: str) -> bool:
        try:
            place = Path(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            self.problem = f"the guardian's log {path} cannot be written ({error.strerror})"
            return False
        self.close()
        self._descriptor = descriptor
        return True

    def follow(self, path: str) -> bool:
        """Go on in this file, which then begins with how this guardian was armed. False, and on as before, where it cannot be."""
        if not self._open(path):
            return False
        self._write(self._armed)
        return True

    def note(self, event: str, **fields: Any) -> None:
        """Append one line. Never raises."""
        entry = {"wall": time.time(), "monotonic_s": time.monotonic(), "event": event, **fields}
        line = (json.dumps(entry, default=str) + "\n").encode()
        if event == "armed":
            self._armed = line
        self._write(line)

    def _write(self, line: bytes) -> None:
        if self._descriptor < 0:
            return
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
