"""What the call of `nanolab dashboard` says, handed to the pages through the environment of their server."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = "NANOLAB_DASHBOARD_DATA"
BENCH = "NANOLAB_DASHBOARD_BENCH"


@dataclass(frozen=True)
class Settings:
    """Folder of the run folders; bench file from which runs are started (None: the usual one)."""

    data: Path
    bench: Path | None = None

    def environment(self) -> dict[str, str]:
        """Return the variables that carry these settings."""
        found = {DATA: str(self.data.absolute())}
        if self.bench is not None:
            found[BENCH] = str(self.bench.absolute())
        return found

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> "Settings":
        """Read them again; the folder ``runs`` where nothing is said."""
        found = os.environ if variables is None else variables
        bench = found.get(BENCH)
        return cls(Path(found.get(DATA, "runs")), None if not bench else Path(bench))
