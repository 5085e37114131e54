"""Serve the pages: Streamlit in this process, on this machine only, nothing sent anywhere."""

import contextlib
import os
import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.settings import REFRESH_S, Settings
from nanolab.commands.output import say
from nanolab.errors import NanolabError, UsageError

if TYPE_CHECKING:
    from dashboard.store import Store

ADDRESS = "127.0.0.1"
HOSTS = (ADDRESS, "localhost")
FIRST_PORT, LAST_PORT = 8501, 8520
BROWSER_DEADLINE_S = 30.0
READ_ON_S = 2.0
"""Wall time between two looks at the run that nobody looks at; each takes a millisecond where there is little new."""

NEEDED = {"streamlit": "Streamlit", "orjson": "orjson"}
PAGES_FIRST = ("dashboard.live_page", "dashboard.runs_page", "dashboard.devices_page", "dashboard.assay_page")

OPTIONS = {
    "server.address": ADDRESS,
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.disconnectedSessionTTL": "120",
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": ADDRESS,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "logger.level": "error",
}
"""127.0.0.1: Streamlit's default listens on every network. Minimal toolbar: its header shows a "Stop" of its own."""

COLOURS = {
    "dark": {"backgroundColor": "#14171B", "secondaryBackgroundColor": "#22262C", "textColor": "#ECEEF0",
             "primaryColor": "#56B4E9", "linkColor": "#8CCBF2"},
    "light": {"backgroundColor": "#FFFFFF", "secondaryBackgroundColor": "#EEF0F2", "textColor": "#16191D",
              "primaryColor": "#0063A0", "linkColor": "#00548A"},
}  # fmt: skip


def serve(
    data: Path,
    port: int | None = None,
    *,
    browser: bool = True,
    light: bool = False,
    bench: Path | None = None,
    read_only: bool = False,
    refresh_s: float = REFRESH_S,
) -> int:
    """Serve the pages until Ctrl-C or SIGTERM; return the exit code.

    UsageError where the port is taken; NanolabError where Streamlit is not installed.
    """
    check_installed()
    chosen = free_port(port)
    say("live page on this machine only; Ctrl-C ends it, and a run that is going on goes on")
    os.environ.update(Settings(data, bench, read_only, refresh_s).environment())
    from streamlit.web import cli

    for name in PAGES_FIRST:  # before the first visitor asks: he would wait for it
        import_module(name)
    if browser:
        threading.Thread(target=open_when_ready, args=(chosen,), name="open-browser", daemon=True).start()
    with reading_on():
        cli.main(arguments(chosen, light=light), standalone_mode=False)
    return 0


def check_installed() -> None:
    """Raise NanolabError where what the pages need beyond the base install is missing; quick: nothing is imported."""
    missing = [words for name, words in NEEDED.items() if find_spec(name) is None]
    if missing:
        raise NanolabError(
            f"the live page needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            "run `python -m pip install 'nanolab[dashboard]'`"
        )


@contextlib.contextmanager
def reading_on() -> Iterator[None]:
    """Read the run of the bench screen from now on, whether or not somebody looks: who opens the page need not wait."""
    from dashboard import frame

    ended = threading.Event()
    words = {"store": frame.store(), "data": frame.settings().data, "ended": ended}
    thread = threading.Thread(target=keep_read, kwargs=words, name="read-on", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(READ_ON_S)


def keep_read(store: "Store", data: Path, ended: threading.Event, every_s: float = READ_ON_S) -> None:
    """Read what is new in the current run each `every_s` seconds of wall time until `ended`."""
    while True:
        # the page looks in the same way, and says what is amiss; here it must only not end the reading
        with contextlib.suppress(Exception):
            store.current(data)
        if ended.wait(every_s):
            return


def arguments(port: int, *, light: bool) -> list[str]:
    """Return the words of `streamlit run`."""
    theme = "light" if light else "dark"
    options = {**OPTIONS, "server.port": str(port), "theme.base": theme}
    options.update({f"theme.{name}": value for name, value in COLOURS[theme].items()})
    # other names for this machine are refused (DNS rebinding)
    words = [f"--{name}={value}" for name, value in options.items()]
    words += [f"--server.allowedHosts={name}" for name in HOSTS]
    return ["run", str(Path(__file__).with_name("app.py")), *words]


def free_port(wanted: int | None) -> int:
    """Return the wanted port, else the first free one of the usual ones. UsageError where there is none."""
    for port in range(FIRST_PORT, LAST_PORT + 1) if wanted is None else (wanted,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((ADDRESS, port))
                return port
    words = f"--port {wanted}: it is taken" if wanted is not None else f"no port of {FIRST_PORT} to {LAST_PORT} is free"
    raise UsageError(f"{words}; is another live page open? Name a free port with --port")


def open_when_ready(
    port: int, open_url: Callable[[str], object] = webbrowser.open, deadline_s: float = BROWSER_DEADLINE_S
) -> bool:
    """Open the page in the browser as soon as the server answers; say whether it did within the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, port), timeout=1.0):
            open_url(f"http://{ADDRESS}:{port}")
            return True
        time.sleep(0.1)  # wall time: the server of this process is starting
    return False
