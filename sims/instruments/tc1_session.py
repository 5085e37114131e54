"""One client of a TC 1: frames in square brackets, everything outside them ignored, reports that nobody asked for."""

from collections.abc import Callable

from sims.instruments.base import Reply, Session

_LONGEST = 200


class FrameSession(Session):
    """Cuts what arrives into frames.

    Parameters
    ----------
    heard : callable
        Takes the text between the brackets, returns the replies.
    unasked : callable
        Takes a count and returns the reports since then and the new count.
    """

    def __init__(self, heard: Callable[[str], list[Reply]], unasked: Callable[[int], tuple[list[Reply], int]]) -> None:
        self._heard = heard
        self._unasked = unasked
        self._told = unasked(-1)[1]
        self._buffer = b""
        self.waiting = True

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes in any pieces; return the replies to every frame that is whole by now."""
        replies: list[Reply] = []
        self._buffer += data
        while True:
            _outside, opened, rest = self._buffer.partition(b"[")
            text, closed, after = rest.partition(b"]")
            if not closed:
                # only what follows the last bracket can become a frame
                self._buffer = (opened + text)[:_LONGEST] if opened else b""
                return replies
            self._buffer = after
            replies += self._heard(text.rpartition(b"[")[2].decode("latin-1"))

    def resume(self) -> list[Reply]:
        """Return reports that came up since."""
        replies, self._told = self._unasked(self._told)
        return replies

    def clear(self) -> None:
        """Forget half a frame."""
        self._buffer = b""
