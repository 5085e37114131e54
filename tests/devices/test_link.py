"""The link alone, over a transport that does what each test asks of it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bluesky.protocols import Status as StatusProtocol

from devices.link import GaveWayError, Link, SilentError
from devices.status import Status
from devices.transport import NoReplyError
from nanolab.errors import DeviceError

DEADLINE_S = 0.3


class FakeTransport:
    """Replies come from `script`: bytes, or something to raise or call."""

    def __init__(self, script: list[Any], log: list[str]) -> None:
        self.script = script
        self.log = log
        self.stale = False
        self.can_clear = False
        self.refuses = False

    def open(self, deadline_s: float) -> None:
        self.log.append("open")
        if self.refuses:
            raise ConnectionError("connection refused")

    def close(self) -> None:
        self.log.append("close")

    def write(self, data: bytes) -> None:
        self.log.append(data.decode())
        if self.script and self.script[0] == "cannot write":
            self.script.pop(0)
            raise ConnectionError("broken pipe")

    def read_line(self, deadline_s: float) -> bytes:
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        reply = step() if callable(step) else step
        assert isinstance(reply, bytes)
        return reply

    def unasked(self) -> bool:
        stale, self.stale = self.stale, False
        return stale

    def clear(self) -> bool:
        self.log.append("clear")
        return self.can_clear


class Rig:
    def __init__(self) -> None:
        self.script: list[Any] = []
        self.log: list[str] = []
        self.audits = 0
        self.transports: list[FakeTransport] = []
        self.release = threading.Event()
        self.link = Link("meter", self.make, deadline_s=DEADLINE_S, audit=self.audit)

    def make(self) -> FakeTransport:
        self.transports.append(FakeTransport(self.script, self.log))
        return self.transports[-1]

    def audit(self) -> None:
        self.audits += 1

    def hang(self) -> bytes:
        """Do not come back until the test lets go."""
        self.release.wait(20.0)
        return b"too late"


@pytest.fixture
def rig() -> Iterator[Rig]:
    before = set(threading.enumerate())
    rig = Rig()
    rig.link.open()
    yield rig
    rig.release.set()
    rig.link.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5.0)
    assert set(threading.enumerate()) <= before, "a thread outlived the link"


def wait_for(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.002)


def test_an_exchange_is_one_line_each_way(rig: Rig) -> None:
    rig.script.append(b"+1.0")
    assert rig.link.exchange("READ?") == "+1.0"
    assert rig.log == ["close", "open", "READ?\n"]
    assert rig.link.trusted and rig.link.is_open


def test_it_opens_once_and_can_be_opened_again(rig: Rig) -> None:
    rig.link.open()
    assert rig.log.count("open") == 1
    rig.link.close()
    rig.link.close()
    assert not rig.link.is_open and not rig.link.trusted
    rig.link.mistrust()
    rig.link.open()
    rig.script.append(b"again")
    assert rig.link.exchange("READ?") == "again"
    assert rig.audits == 0, "the first exchange after open() is not a reconnection"


def test_work_on_a_closed_link_is_a_sentence() -> None:
    link = Link("meter", Rig().make, deadline_s=DEADLINE_S)
    with pytest.raises(DeviceError, match=r"meter: is not connected\. Call connect"):
        link.submit(lambda: None)


def test_a_refused_connection_leaves_nothing_running() -> None:
    rig = Rig()

    def refusing() -> FakeTransport:
        transport = rig.make()
        transport.refuses = True
        return transport

    before = threading.active_count()
    link = Link("meter", refusing, deadline_s=DEADLINE_S)
    with pytest.raises(DeviceError, match=r"meter: cannot be reached: connection refused\. Check the cable"):
        link.open()
    assert threading.active_count() == before
    assert not link.is_open


def test_silence_reopens_and_audits_before_the_next_exchange(rig: Rig) -> None:
    rig.script += [NoReplyError(), b"2"]
    with pytest.raises(SilentError, match=r"meter: is silent within its deadline; sent 'A\?'"):
        rig.link.exchange("A?")
    assert not rig.link.trusted
    assert rig.link.exchange("B?") == "2"
    assert rig.log[-4:] == ["clear", "close", "open", "B?\n"]
    assert rig.audits == 1


def test_half_a_line_is_shown(rig: Rig) -> None:
    rig.script.append(NoReplyError(b"+1.2\xff"))
    with pytest.raises(SilentError, match=r"answered only half a line .*received '\+1\.2\\\\xff'") as caught:
        rig.link.exchange("A?")
    assert caught.value.received == "+1.2\\xff"


def test_a_device_clear_is_enough_where_it_works(rig: Rig) -> None:
    rig.transports[0].can_clear = True
    rig.script += [NoReplyError(), b"2"]
    with pytest.raises(SilentError):
        rig.link.exchange("A?")
    assert rig.link.exchange("B?") == "2"
    assert rig.log[-2:] == ["clear", "B?\n"]
    assert rig.audits == 0


def test_bytes_that_nobody_asked_for_never_answer(rig: Rig) -> None:
    rig.transports[0].stale = True
    rig.script.append(b"fresh")
    assert rig.link.exchange("A?") == "fresh"
    assert rig.log[-3:] == ["close", "open", "A?\n"]


def test_mistrust_renews_the_connection(rig: Rig) -> None:
    rig.link.mistrust()
    rig.script.append(b"1")
    assert rig.link.exchange("A?") == "1"
    assert rig.log.count("open") == 2


def test_garbled_bytes_show_what_came(rig: Rig) -> None:
    rig.script.append(b"\xb1" * 300)
    with pytest.raises(DeviceError, match=r"sent a garbled reply; sent 'A\?'; received .*\.\.\."):
        rig.link.exchange("A?")
    assert not rig.link.trusted


def test_a_lost_connection_is_told_and_mended(rig: Rig) -> None:
    rig.script += [ConnectionError("the instrument closed the connection"), b"1"]
    with pytest.raises(DeviceError, match="lost the connection: the instrument closed"):
        rig.link.exchange("A?")
    assert rig.link.exchange("B?") == "1"
    assert "clear" not in rig.log, "a closed connection cannot be cleared"
    assert rig.audits == 1


def test_an_audit_that_fails_is_repeated_until_it_passes(rig: Rig) -> None:
    verdicts = [DeviceError("meter", "is another one"), None]

    def audit() -> None:
        verdict = verdicts.pop(0)
        assert rig.link.exchange("*IDN?") == "who"
        if verdict is not None:
            raise verdict

    rig.link.audit = audit
    rig.link.mistrust()
    rig.script += [b"who", b"who", b"1"]
    with pytest.raises(DeviceError, match="is another one"):
        rig.link.exchange("A?")
    assert rig.link.exchange("A?") == "1"
    assert not verdicts
    assert rig.log[-3:] == ["*IDN?\n", "*IDN?\n", "A?\n"]


def test_after_silence_it_can_be_left_alone(rig: Rig) -> None:
    rig.script.append(NoReplyError())
    with pytest.raises(SilentError):
        rig.link.exchange("MEAS?", quiet_s=10.0)
    written = len(rig.log)
    with pytest.raises(DeviceError, match="is left alone for"):
        rig.link.exchange("MEAS?")
    assert len(rig.log) == written


def test_a_hung_transport_is_left_behind_within_the_deadline(rig: Rig) -> None:
    rig.script += [rig.hang, b"1"]
    start = time.monotonic()
    with pytest.raises(DeviceError, match="the connection hangs"):
        rig.link.exchange("A?")
    assert DEADLINE_S <= time.monotonic() - start < DEADLINE_S + 0.5
    assert rig.link.exchange("B?") == "1"
    assert len(rig.transports) == 2
    assert rig.audits == 1


def test_a_worker_that_comes_back_late_says_nothing_more(rig: Rig) -> None:
    outcome: list[object] = []

    def work() -> None:
        for message in ("A?", "OUTP1 ON"):
            try:
                rig.link.exchange(message)
            except DeviceError as error:
                outcome.append(str(error))
                raise

    rig.script.append(rig.hang)
    status = rig.link.submit(work)
    error = status.exception(5.0)
    assert "hangs" in str(error)
    rig.release.set()
    wait_for(lambda: not any(thread.name == "nanolab-link-meter" for thread in threading.enumerate()))
    assert rig.log.count("OUTP1 ON\n") == 0
    assert outcome and "given up" in str(outcome[0])


def test_closing_does_not_wait_for_a_hung_transport() -> None:
    rig = Rig()
    rig.link.open()
    rig.script.append(rig.hang)
    status = rig.link.submit(lambda: rig.link.exchange("A?"))
    waiting = rig.link.submit(lambda: rig.link.exchange("B?"))
    wait_for(lambda: "A?\n" in rig.log)
    start = time.monotonic()
    rig.link.close()
    assert time.monotonic() - start < DEADLINE_S + 0.5
    for each in (status, waiting):
        assert "closed before this was done" in str(each.exception(0.1))
    rig.release.set()
    wait_for(lambda: not any(thread.name.startswith("nanolab-link") for thread in threading.enumerate()))


def test_work_submitted_while_closing_is_finished(rig: Rig) -> None:
    class Closing:
        def put(self, _item: None) -> None:
            rig.link._worker = None

    worker, wake = rig.link._worker, rig.link._wake
    rig.link._wake = Closing()  # type: ignore[assignment]  # closes exactly between the two halves of submit
    status = rig.link.submit(lambda: None)
    assert "closed before this was done" in str(status.exception(0.1))
    rig.link._worker, rig.link._wake = worker, wake
    rig.link._jobs.clear()


def test_urgent_work_goes_first_and_cuts_short_what_gives_way(rig: Rig) -> None:
    order: list[str] = []
    started = threading.Event()

    def ramp() -> None:
        rig.link.exchange("CURR 0.1")
        started.set()
        wait_for(lambda: rig.link._urgent)
        rig.link.exchange("OUTP1 ON")

    rig.script += [b"ok", b"off", b"read"]
    status = rig.link.submit(ramp, gives_way=True)
    started.wait(5.0)
    reading = rig.link.submit(lambda: order.append(rig.link.exchange("READ?")))
    off = rig.link.submit(lambda: order.append(rig.link.exchange("OUTP1 OFF")), urgent=True)
    off.wait(5.0)
    reading.wait(5.0)
    assert isinstance(status.exception(5.0), GaveWayError)
    assert order == ["off", "read"]
    assert "OUTP1 ON\n" not in rig.log


def test_work_that_insists_gives_way_no_more_and_waits_for_no_audit(rig: Rig) -> None:
    def work() -> str:
        rig.link.insist()
        rig.link.mistrust()
        rig.link.submit(lambda: None, urgent=True)
        return rig.link.exchange("OUTP1 OFF")

    rig.script.append(b"off")
    assert rig.link.submit(work, gives_way=True).result(5.0) == "off"
    assert rig.audits == 0
    rig.script.append(b"1")
    rig.link.exchange("READ?")
    assert rig.audits == 1, "the audit that was put off must come"


def test_only_the_worker_may_insist(rig: Rig) -> None:
    with pytest.raises(DeviceError, match="only work that the link does"):
        rig.link.insist()


def test_blurting_writes_on_the_connection_as_it_is(rig: Rig) -> None:
    rig.link.mistrust()
    assert rig.link.call(lambda: rig.link.blurt("OUTP1 OFF")) is True
    assert rig.log[-1] == "OUTP1 OFF\n"
    rig.script.append("cannot write")
    assert rig.link.call(lambda: rig.link.blurt("OUTP1 OFF")) is False
    rig.script += [ConnectionError("gone")]
    with pytest.raises(DeviceError):
        rig.link.exchange("A?")
    assert rig.link.call(lambda: rig.link.blurt("OUTP1 OFF")) is False, "there is no connection to write on"


def test_waiting_can_be_bounded(rig: Rig) -> None:
    gate = threading.Event()
    rig.link.submit(lambda: gate.wait(5.0))
    with pytest.raises(DeviceError, match=r"busy for 0\.05 s"):
        rig.link.call(lambda: None, timeout_s=0.05)
    gate.set()


def test_whatever_work_raises_reaches_its_status(rig: Rig) -> None:
    with pytest.raises(ZeroDivisionError):
        rig.link.call(lambda: 1 // 0)
    assert rig.link.call(lambda: rig.link.call(lambda: 7)) == 7, "work may call back into its link"


def test_rest_ends_when_the_link_closes(rig: Rig) -> None:
    status = rig.link.submit(lambda: rig.link.rest(0.001))
    status.wait(5.0)
    resting = rig.link.submit(lambda: rig.link.rest(60.0))
    wait_for(lambda: not rig.link._jobs)
    rig.link.close()
    assert resting.success


def test_a_wake_up_without_work_does_no_harm(rig: Rig) -> None:
    rig.link._wake.put(None)
    rig.script.append(b"1")
    assert rig.link.exchange("A?") == "1"


def test_status_keeps_the_protocol() -> None:
    status = Status()
    assert isinstance(status, StatusProtocol)
    assert not status.done and not status.success
    with pytest.raises(TimeoutError):
        status.exception(0.0)
    seen: list[Any] = []
    status.add_callback(seen.append)
    assert status.finish(result=5)
    assert not status.finish(DeviceError("meter", "too late"))
    status.add_callback(seen.append)
    assert seen == [status, status]
    assert status.done and status.success and status.exception() is None and status.result(0.0) == 5
    failed = Status()
    failed.finish(DeviceError("meter", "is silent"))
    assert failed.done and not failed.success
    with pytest.raises(DeviceError, match="is silent"):
        failed.wait(0.0)


def test_each_callback_is_called_once_however_many_threads_race() -> None:
    for _round in range(200):
        status = Status()
        calls: list[int] = []
        barrier = threading.Barrier(2)

        def add(status: Status = status, calls: list[int] = calls, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(5.0)
            for number in range(20):
                status.add_callback(lambda _status, number=number: calls.append(number))  # type: ignore[misc]

        thread = threading.Thread(target=add)
        thread.start()
        barrier.wait(5.0)
        status.finish()
        thread.join(5.0)
        assert sorted(calls) == list(range(20))
