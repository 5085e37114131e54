"""One small tree of errors; each says what, where and what to do, and knows its exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the `nanolab` command returns to the shell."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    INVALID_FILE = 3
    DEVICE_SILENT = 4
    REFUSED = 5
    STOPPED_BY_LIMIT = 6
    ANALYSIS_REFUSES = 7
    OFF_NOT_CONFIRMED = 8
    INTERRUPTED = 130
    TERMINATED = 143


class NanolabError(Exception):
    """Anything that nanolab can explain in one sentence."""

    exit_code: ExitCode = ExitCode.UNEXPECTED


class UsageError(NanolabError):
    """The call cannot be understood: an unknown name, a value that does not parse."""

    exit_code = ExitCode.USAGE


class FileInvalidError(NanolabError):
    """A bench, sample, world or data file is wrong; the message names the place."""

    exit_code = ExitCode.INVALID_FILE


class DeviceError(NanolabError):
    """An instrument is missing, silent, or answers what it should not.

    Parameters
    ----------
    device : str
        Name of the device on the bench.
    problem : str
        What happened, in words.
    sent, received : str or None
        The exchange that failed, as text.
    remedy : str or None
        What a person can do now.
    """

    exit_code = ExitCode.DEVICE_SILENT

    def __init__(
        self,
        device: str,
        problem: str,
        *,
        sent: str | None = None,
        received: str | None = None,
        remedy: str | None = None,
    ) -> None:
        parts = [f"{device}: {problem}"]
        if sent is not None:
            parts.append(f"sent {sent!r}")
        if received is not None:
            parts.append(f"received {received!r}")
        text = "; ".join(parts)
        super().__init__(f"{text}. {remedy}" if remedy else text)
        self.device = device


class RefusedError(NanolabError):
    """Refused before the start: a limit, a missing safeguard, a missing confirmation."""

    exit_code = ExitCode.REFUSED


class JournalError(NanolabError):
    """A document could not be stored, or a run folder is damaged; the message names the file."""


class LimitTripError(NanolabError):
    """A limit stopped the run; the data are saved."""

    exit_code = ExitCode.STOPPED_BY_LIMIT


class AnalysisRefusesError(NanolabError):
    """The data are saved, but they cannot support the quantity that was asked for."""

    exit_code = ExitCode.ANALYSIS_REFUSES


class OffNotConfirmedError(NanolabError):
    """The laser was told to go off and was not seen to be off. Overrides every other outcome."""

    exit_code = ExitCode.OFF_NOT_CONFIRMED


def nearest(name: str, known: list[str]) -> str:
    """Return a hint naming the known word nearest to `name`, or the list when none is near."""
    import difflib

    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if matches:
        return f"did you mean '{matches[0]}'?"
    return "known: " + ", ".join(sorted(known))
