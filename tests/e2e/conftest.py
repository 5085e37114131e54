"""A real browser on real pages: a simulated bench that tells the truth, a server of the pages, runs as processes."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--disable-sync",
)  # fmt: skip
DEADLINE_MS = 120_000
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")

expect.set_options(timeout=DEADLINE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole programs in a browser: slow, and given the time of a busy machine."""
    for item in items:
        if "tests/e2e" in str(item.path.as_posix()):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one file: its event loop must be gone before anybody else's tests."""
    named = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if named is None:
        pytest.skip("there is no browser: run `apt-get install chromium-headless-shell`, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=named, args=list(FLAGS))
        yield started
        started.close()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Pages:
    """A server of the pages: its address, its process, the data folder it shows."""

    url: str
    process: "subprocess.Popen[bytes]"
    data: Path


@contextlib.contextmanager
def serving(data: Path, *words: str) -> Iterator[Pages]:
    """Serve the pages of a data folder until the block ends."""
    port = free_port()
    log = data.parent / f"dashboard-{port}.log"
    command = [sys.executable, "-m", "nanolab", "dashboard", "--data", str(data), "--port", str(port), "--no-browser"]
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *words], cwd=data.parent, stdout=out, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_healthy(url, process, log)
            yield Pages(url, process, data)
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_healthy(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 90.0
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=2.0) as reply:
            if reply.read() == b"ok":
                return
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"the pages are not served: {log.read_text()[-2000:]}")
        time.sleep(0.1)  # wall time: another process is starting


Open = Callable[[str], Page]


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Open]:
    """Open an address; afterwards: no exception box was shown, no script failed, nothing was asked of another machine."""
    outside: list[str] = []
    errors: list[str] = []
    context = browser.new_context(
        viewport={"width": 1600, "height": 1000}, reduced_motion="reduce", accept_downloads=True
    )

    def guard(route: Route) -> None:
        if route.request.url.startswith(LOCAL):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", guard)
    pages: list[Page] = []

    def open_page(url: str) -> Page:
        page = context.new_page()
        page.set_default_timeout(DEADLINE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        pages.append(page)
        page.goto(url)
        page.locator(".bench .stop").first.wait_for()
        return page

    yield open_page
    boxes = [page.get_by_test_id("stException").count() for page in pages]
    context.unroute_all(behavior="ignoreErrors")
    context.close()
    assert (sum(boxes), outside, errors) == (0, [], [])


@dataclass
class Bench:
    """A simulated bench: its control port, and what is true in it."""

    control: str
    truth_address: str

    def truth(self) -> dict[str, Any]:
        """Return what is true now."""
        host, _, port = self.truth_address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10.0) as link, link.makefile("rw") as lines:
            lines.write('{"op": "truth"}\n')
            lines.flush()
            found: dict[str, Any] = json.loads(lines.readline())["truth"]
            return found

    @property
    def emitting(self) -> bool:
        """Whether light really comes out."""
        return bool(self.truth()["laser"]["emitting"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Serve a simulated bench at twenty times real time, its truth port open."""
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--json", "--speed", "20", "--truth"]
    process = subprocess.Popen(
        words, cwd=tmp_path_factory.mktemp("bench"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        yield Bench(ready["control"], ready["truth"])
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def newest(data: Path) -> Path:
    """Return the run folder that was begun last."""
    return max(data.glob("*/*-simulated"), key=lambda folder: (folder / "README.txt").stat().st_mtime)


def until(true: Callable[[], bool], what: str, deadline_s: float = 120.0) -> None:
    """Wait in wall time for another process."""
    end = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@contextlib.contextmanager
def running(data: Path, bench: Bench, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `nanolab run ...` on the bench; it is ended with the block if it has not ended before."""
    command = [sys.executable, "-m", "nanolab", "run", *words, "--sim", bench.control, "--data", str(data)]
    earlier = len(list(data.glob("*/*/docs.jsonl")))
    log = data.parent / "run.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=data.parent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=out, text=True
        )
    try:
        # nothing else is started before the run is under way: its links have deadlines in wall time
        until(
            lambda: process.poll() is not None or len(list(data.glob("*/*/docs.jsonl"))) > earlier,
            "the run does not begin",
        )
        yield process
    except BaseException:
        sys.stderr.write(f"the run said: {log.read_text()}")
        raise
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
