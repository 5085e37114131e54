"""What the call of `nanolab dashboard` says, handed to the pages through the environment of their server."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = "NANOLAB_DASHBOARD_DATA"
BENCH = "NANOLAB_DASHBOARD_BENCH"
READ_ONLY = "NANOLAB_DASHBOARD_READ_ONLY"
REFRESH = "NANOLAB_DASHBOARD_REFRESH_S"
REFRESH_S = 0.5


@dataclass(frozen=True)
class Settings:
    """Folder of the run folders; bench file from which runs are started (None: the usual one).

    ``read_only``: whoever looks may stop a run, and nothing else. ``refresh_s``: wall time between two looks of the live page.
    """

    data: Path
    bench: Path | None = None
    read_only: bool = False
    refresh_s: float = REFRESH_S

    def environment(self) -> dict[str, str]:
        """Return the variables that carry these settings."""
        found = {DATA: str(self.data.absolute()), REFRESH: str(self.refresh_s)}
        if self.bench is not None:
            found[BENCH] = str(self.bench.absolute())
        if self.read_only:
            found[READ_ONLY] = "1"
        return found

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> "Settings":
        """Read them again; the folder ``runs`` where nothing is said."""
        found = os.environ if variables is None else variables
        bench = found.get(BENCH)
        refresh = float(found.get(REFRESH, REFRESH_S))
        return cls(Path(found.get(DATA, "runs")), Path(bench) if bench else None, bool(found.get(READ_ONLY)), refresh)
