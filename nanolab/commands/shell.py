"""`nanolab shell`: IPython with the bench, the plans and a RunEngine ready."""

import os
from typing import Any

from nanolab.commands.output import BenchFile, say
from nanolab.errors import NanolabError


def command(bench: BenchFile = None) -> None:
    """Start IPython on the bench: devices by role, plans by name, RE, clock, journal. The laser is off on leaving."""
    try:
        import IPython
    except ImportError as error:
        raise NanolabError(
            "the shell needs IPython, which is not installed: run `python -m pip install 'nanolab[shell]'`"
        ) from error
    if bench is not None:
        os.environ["NANOLAB_BENCH"] = str(bench)
    from nanolab import startup  # connects the bench

    names: dict[str, Any] = {name: getattr(startup, name) for name in startup.__all__}
    say(f"ready: {', '.join(sorted(names))}. For example: RE(spectrum(spectrometer, clock=clock))")
    IPython.start_ipython(argv=["--no-banner"], user_ns=names)
