"""The parent's side of the spectrometer's child process: started, asked with a deadline, killed when it hangs."""

import contextlib
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

from devices.ocean_frames import Array, read_frame, write_frame

START_DEADLINE_S = 30.0
"""Wall time from the start of the process to its first word (a cold Python with numpy)."""

_END_S = 2.0
_OWN_SESSION: dict[str, Any] = {"start_new_session": True}
if sys.platform == "win32":
    _OWN_SESSION = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}

# -P: a file named devices.py or numpy.py in the working directory must not be taken for the real one
COMMAND = (sys.executable, "-P", "-m", "devices.ocean_worker")


class ChildError(Exception):
    """A request failed, in words. ``hung``: no answer in time. ``gone``: the process has ended (or was killed)."""

    def __init__(self, words: str, *, hung: bool = False, gone: bool = False) -> None:
        super().__init__(words)
        self.hung = hung
        self.gone = gone


class SpectrometerChild:
    """One child process. Not for several threads at once, except `kill`.

    Parameters
    ----------
    command : sequence of str
        What to start.
    start_deadline_s : float
        Wall time until it must have said that it is ready.

    ChildError where it does not come up; nothing is left over then.
    """

    def __init__(self, command: Sequence[str] = COMMAND, start_deadline_s: float = START_DEADLINE_S) -> None:
        # a file, because a pipe that nobody reads would fill and stop the child
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the child runs
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, **_OWN_SESSION
            )
        except BaseException:
            self._log.close()
            raise
        self._answers: queue.Queue[tuple[dict[str, Any], dict[str, Array]] | None] = queue.Queue()
        # a thread, because a pipe cannot be waited for with a deadline on every platform
        self._reader = threading.Thread(target=self._read, name="nanolab-ocean-reader", daemon=True)
        self._reader.start()
        try:
            self._answer("start", start_deadline_s)
        except ChildError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    def request(self, op: str, deadline_s: float, **arguments: Any) -> tuple[Mapping[str, Any], Mapping[str, Array]]:
        """Return the answer to one request; ChildError with words where it fails.

        A child that is silent at the deadline is killed.
        """
        try:
            stdin = self._process.stdin
            if stdin is None or stdin.closed:
                raise ChildError("the process that talks to the spectrometer was closed", gone=True)
            write_frame(stdin, {"op": op, "deadline_s": deadline_s, "with": arguments})
        except OSError:
            raise self._ended() from None
        head, arrays = self._answer(op, deadline_s)
        if "error" in head:
            raise ChildError(str(head["error"]))
        return head, arrays

    def kill(self) -> None:
        """End the process at once; a request in another thread then fails."""
        self._process.kill()

    def close(self, polite_s: float = 0.0) -> None:
        """Let the child end within `polite_s` seconds, then see to it. Never raises; may be called again."""
        process = self._process
        with contextlib.suppress(subprocess.TimeoutExpired):
            if polite_s > 0.0 and process.poll() is None:
                process.wait(polite_s)
        process.kill()
        process.wait()
        self._reader.join()
        for stream in (process.stdin, process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _read(self) -> None:
        stdout = self._process.stdout
        with contextlib.suppress(OSError, ValueError):
            while stdout is not None and (frame := read_frame(stdout)) is not None:
                self._answers.put(frame)
        self._answers.put(None)

    def _answer(self, op: str, deadline_s: float) -> tuple[dict[str, Any], dict[str, Array]]:
        try:
            frame = self._answers.get(timeout=deadline_s)
        except queue.Empty:
            self.kill()
            raise ChildError(f"no answer to '{op}' within {deadline_s:.3g} s", hung=True, gone=True) from None
        if frame is None:
            raise self._ended()
        return frame

    def _ended(self) -> ChildError:
        try:
            code: int | str = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            code = "unknown"
        how = f"by signal {-code}" if isinstance(code, int) and code < 0 else f"with exit code {code}"
        self._log.seek(0)
        said = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        words = f"; its last words: {said[-1][:200]}" if said else ""
        return ChildError(f"the process that talks to the spectrometer ended {how}{words}", gone=True)
