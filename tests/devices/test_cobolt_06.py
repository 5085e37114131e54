"""The Cobolt driver against literal transcripts; every byte sent is written here."""

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from devices.cobolt_06 import Cobolt06MLD
from nanolab.errors import DeviceError, OffNotConfirmedError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.testing import CLOSE, ScriptedServer


@pytest.fixture(autouse=True)
def _close_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyserial sleeps 0.3 s whenever it closes a socket."""
    monkeypatch.setattr("serial.urlhandler.protocol_socket.time", SimpleNamespace(sleep=lambda _seconds: None))


Step = tuple[str, bytes | None]

SETTINGS: dict[str, Any] = {
    "wavelength": "785 nm",
    "max_power": "80 mW",
    "transmission": "0.80±0.02",
    "calibration_date": "2026-03-01",
    "deadline": "5 s",
    "pause": "0 s",
}


def replies(*pairs: tuple[str, str]) -> list[Step]:
    """Steps whose replies end as those of real units do."""
    return [(command, reply.encode() + b"\r\n") for command, reply in pairs]


def look(on: int = 0, power: str = "0.00002", current: str = "0.0", fault: int = 0) -> list[Step]:
    return replies(("l?", str(on)), ("pa?", power), ("i?", current), ("f?", str(fault)), ("rtect?", "25.02"))


def sequence_look(on: int = 0, state: int = 0, power: str = "0.00002", fault: int = 0) -> list[Step]:
    """A look at a unit whose autostart is enabled: while dark its state is asked too."""
    steps = look(on, power, "310.5" if on else "0.0", fault)
    return steps if on else [*steps[:4], *replies(("gom?", str(state))), steps[4]]


PING = replies(("?", "OK"))
IDENTITY = replies(("gsn?", "12345"), ("glm?", "0785-06-01-0100-100"), ("gfv?", "CAP-1004.2"))


def unit(key: str = "0", autostart: str = "0") -> list[Step]:
    return replies(("gkses?", key), ("@cobas?", autostart), ("gmlp?", "100.0"), ("rtect?", "25.0"))


CONNECT = [*IDENTITY, *unit(), *look()]
CONNECT_CDRH = [*IDENTITY, *unit("1", "1"), *sequence_look(), *replies(("l0", "OK"), ("@cob0", "OK")), *sequence_look()]
ILLEGAL = "Syntax error: illegal command"
OFF = replies(("l0", "OK"))
OFF_DARK = [*OFF, *look()]
OEM = replies(("gkses?", "0"), ("@cobas?", "0"))
KEYED = replies(("gkses?", "1"), ("@cobas?", "1"))
GATES = [*OEM, *replies(("ilk?", "0"))]
KEYED_GATES = [*KEYED, *replies(("ilk?", "0"), ("@cobasks?", "1"))]
SET = replies(("gam?", "1"), ("p 0.050000", "OK"), ("p?", "0.05000"))
ON = [*look(), *GATES, *SET, *replies(("l?", "0"), ("l1", "OK"), ("l?", "1"))]


@contextlib.contextmanager
def laser(
    transcript: Sequence[Step], connect: Sequence[Step] = CONNECT, **changes: Any
) -> Iterator[tuple[Any, ScriptedServer]]:
    with ScriptedServer([*PING, *connect, *transcript], ends=b"\r") as server:
        settings = Cobolt06MLD.Settings.model_validate({**SETTINGS, **changes})
        context = DeviceContext("laser", server.address, settings, False, time.time, may_emit=lambda: None)
        device = Cobolt06MLD(context)
        device.connect()
        try:
            yield device, server
        finally:
            device._link.close()


def reading(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {key.removeprefix("laser_"): value["value"] for key, value in device.read().items()}


def test_on_and_off_are_seen_in_flag_power_and_current() -> None:
    with laser([*ON, *look(1, "0.05010", "310.5"), *OFF_DARK]) as (device, _server):
        device.set(0.04).wait(5.0)
        values = reading(device)
        # 50.1 mW at the head, of which 0.80 arrive
        assert values.pop("measured_power") == pytest.approx(0.04008)
        assert values == {"power": 0.04, "emitting": 1, "current": 0.3105, "temperature": 25.02, "valid": 1,
                          "reason": "", "starting": 0}  # fmt: skip
        device.set(0).wait(5.0)
        assert device.power.get() == 0.0 and device.emitting.get() == 0
        assert "off: emission off, 0.02 mW at the head, diode current 0.0 mA" in device.off_report.detail


def test_what_the_power_rests_on_is_configuration() -> None:
    with laser([]) as (device, _server):
        read = {key: value["value"] for key, value in device.read_configuration().items()}
        assert read["laser_transmission"] == 0.80
        assert read["laser_calibration_date"] == "2026-03-01"
        assert read["laser_serial"] == "12345"
        assert device.describe()["laser_measured_power"]["units"] == "W"
        assert device.identity() == {
            "maker": "Cobolt", "model": "0785-06-01-0100-100", "serial": "12345", "firmware": "CAP-1004.2",
        }  # fmt: skip


def test_commands_are_paced_and_off_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with laser([*look(), *OFF_DARK], pause="0.1 s", connect=CONNECT) as (device, server):
        now, rested = [1000.0], dict[str, float]()

        def rest(seconds: float) -> None:
            now[0] += seconds
            after = server.received[-1]
            rested[after] = rested.get(after, 0.0) + seconds

        monkeypatch.setattr(device._link, "rest", rest)
        monkeypatch.setattr("devices.laser_head.time", SimpleNamespace(monotonic=lambda: now[0]))
        device._pace.replied()
        reading(device)
        # 0.1 s before each command of a look, counted from the reply before it
        assert {after: round(seconds, 6) for after, seconds in rested.items()} == dict.fromkeys(
            ("rtect?", "l?", "pa?", "i?", "f?"), 0.1
        )
        rested.clear()
        assert device.off().confirmed
        assert list(rested) == ["l0", "l?", "pa?", "i?", "f?"], "nothing rests before l0"


def test_a_pause_ends_when_off_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with laser([], pause="0.1 s") as (device, _server):
        rests: list[float] = []

        def rest(seconds: float) -> None:
            rests.append(seconds)
            device._ticket += 1

        monkeypatch.setattr(device._link, "rest", rest)
        monkeypatch.setattr("devices.laser_head.time", SimpleNamespace(monotonic=lambda: 1000.0))
        device._pace.replied()
        device._pace.rest()
        assert rests == [0.005]
        device._ticket += 1  # while a reply is awaited
        device._pace.rest()
        assert rests == [0.005]


def test_nothing_is_paced_where_lab_time_is_not_wall_time() -> None:
    with ScriptedServer([], ends=b"\r") as server:
        settings = Cobolt06MLD.Settings.model_validate({**SETTINGS, "pause": "0.1 s"})
        context = DeviceContext("laser", server.address, settings, True, time.time, wall_clock=False)
        assert Cobolt06MLD(context)._pace._pause_s == 0.0


def test_the_interlock_refuses_before_anything_is_written_and_resume_asks_for_it_anew() -> None:
    opened = [*OEM, *replies(("ilk?", "1"))]
    with laser([*look(), *opened, *OFF_DARK, *look(), *opened, *look(), *GATES]) as (device, _server):
        with pytest.raises(RefusedError, match=r"the interlock is open\. Close the interlock"):
            device.set(0.04).wait(5.0)
        device.pause()
        with pytest.raises(RefusedError, match="the interlock is open"):
            device.resume()
        with pytest.raises(RefusedError, match=r"it is paused; stage it, or call resume\(\)"):
            device.set(0.04)
        device.resume()


def test_a_fault_that_is_over_is_cleared_and_one_that_stays_refuses() -> None:
    over = [
        *look(fault=3),
        *GATES,
        *replies(("cf", "OK"), ("f?", "0")),
        *SET,
        *replies(("l?", "0"), ("l1", "OK"), ("l?", "1")),
    ]
    with laser(over) as (device, _server):
        device.set(0.04).wait(5.0)
    with (
        laser([*look(fault=1), *GATES, *replies(("cf", "OK"), ("f?", "1"))]) as (device, _server),
        pytest.raises(RefusedError, match="temperature fault"),
    ):
        device.set(0.04).wait(5.0)


def test_l1_is_never_sent_past_a_key() -> None:
    for key, autostart, changes, said in (
        ("1", "0", {}, "l1 would bypass the key"),
        (ILLEGAL, "0", {}, "write key_switch in bench.toml"),
        (ILLEGAL, "0", {"key_switch": True}, "l1 would bypass the key"),
    ):
        connect = [*IDENTITY, *unit(key, autostart), *look()]
        with (
            laser([*look(), *unit(key, autostart)[:2]], connect, **changes) as (device, server),
            pytest.raises(RefusedError, match=said),
        ):
            device.set(0.04).wait(5.0)
        assert "l1" not in server.received
    with laser([*ON], [*IDENTITY, *unit(ILLEGAL, ILLEGAL), *look()], key_switch=False) as (device, _server):
        device.set(0.04).wait(5.0)


def test_autostart_is_refused_unless_the_bench_file_allows_its_sequence() -> None:
    steps = [*replies(("l0", "OK"), ("@cob0", "OK")), *sequence_look(), *KEYED, *sequence_look(), *KEYED]
    with laser(steps, CONNECT_CDRH) as (device, server):
        with pytest.raises(RefusedError, match=r"its autostart is enabled.*autostart = \"sequence\""):
            device.stage()
        with pytest.raises(RefusedError, match="its autostart is enabled"):
            device.set(0.04).wait(5.0)
        assert not {"l1", "@cob1"} & set(server.received)


def test_the_sequence_is_started_once_and_its_start_is_no_emission() -> None:
    begin = [*sequence_look(), *KEYED_GATES, *SET, *replies(("l?", "0"), ("@cob1", "OK"))]
    again = [*sequence_look(state=1), *KEYED_GATES, *SET, *replies(("l?", "0"))]
    lit = [*sequence_look(1, power="0.05001")]
    change = [
        *lit,
        *KEYED_GATES,
        *replies(("gam?", "1"), ("p 0.025000", "OK"), ("p?", "0.02500"), ("l?", "1")),
    ]
    end = [*replies(("l0", "OK"), ("@cob0", "OK")), *sequence_look()]
    steps = [*begin, *sequence_look(), *again, *sequence_look(state=1), *lit, *change, *end]
    with laser(steps, CONNECT_CDRH, autostart="sequence") as (device, server):
        device.set(0.04).wait(5.0)
        values = reading(device)
        assert (values["emitting"], values["starting"], values["valid"], values["power"]) == (0, 1, 1, 0.0)
        device.set(0.04).wait(5.0)  # while it starts: the command is not repeated
        assert reading(device)["starting"] == 1
        values = reading(device)
        assert (values["emitting"], values["starting"], values["power"]) == (1, 0, 0.04)
        device.set(0.02).wait(5.0)  # golden rule: @cob1 to a laser that emits costs its light until the key is turned
        assert device.off().confirmed
        assert server.received.count("@cob1") == 1


def test_a_start_that_takes_too_long_or_is_given_up_is_invalid() -> None:
    begin = [*sequence_look(), *KEYED_GATES, *SET, *replies(("l?", "0"), ("@cob1", "OK"))]
    steps = [
        *begin,
        *sequence_look(state=1),
        *sequence_look(state=6),
        *sequence_look(state=5, fault=3),
        *sequence_look(state=5),
    ]
    with laser(steps, CONNECT_CDRH, autostart="sequence", start_within="100 s") as (device, _server):
        device.set(0.04).wait(5.0)
        device._commanded_at -= 200.0
        reasons = [reading(device)["reason"] for _look in range(4)]
        assert reasons == [
            "it does not emit and waits: it waits for the key: turn it off and on again, though 0.04 W is set",
            "its start was given up",
            "the interlock is open or was opened (fault 3). Close the interlock.",
            "its start ended in a fault",
        ]


def test_a_key_that_is_off_refuses() -> None:
    steps = [*sequence_look(), *KEYED, *replies(("ilk?", "0"), ("@cobasks?", "0"))]
    with (
        laser(steps, CONNECT_CDRH, autostart="sequence") as (device, _server),
        pytest.raises(RefusedError, match="the key is off"),
    ):
        device.set(0.04).wait(5.0)


def test_a_start_under_way_is_not_off() -> None:
    waiting = [
        *replies(("l0", "OK"), ("@cob0", "Syntax error: not allowed in autostart mode")),
        *sequence_look(state=1),
    ]
    gone = [*replies(("l0", "Syntax error"), ("@cob0", "OK")), *sequence_look()]
    with laser([*waiting, *gone], CONNECT_CDRH, autostart="sequence") as (device, _server):
        report = device.off()
        assert report.confirmed and "sent 'l0'; received 'Syntax error'" in report.detail


def test_a_laser_found_emitting_is_turned_off_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with laser([], [*IDENTITY, *unit(), *look(1, "0.03", "200.0"), *OFF_DARK]) as (device, _server):
        assert "it was found emitting on connecting (emission on, 30.00 mW at the head" in device.found_emitting
        assert "keep its beam blocked" in caplog.text
    with laser(
        [],
        [
            *IDENTITY,
            *unit("1", "1"),
            *sequence_look(state=1),
            *replies(("l0", "OK"), ("@cob0", "OK")),
            *sequence_look(),
        ],
    ) as (
        device,
        _server,
    ):
        assert "it was found starting by itself on connecting" in device.found_emitting


def test_off_is_not_confirmed_while_any_read_back_speaks_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.laser_head.OFF_CONFIRMED_WITHIN_S", 0.0)
    for stuck in (look(1), look(power="0.02"), look(current="120.0")):
        with laser([*OFF, *stuck, *OFF, *stuck]) as (device, _server):
            report = device.off()
            assert not report.confirmed
            assert "Turn the key of the Cobolt laser to off, open its interlock or cut its mains" in report.by_hand
            with pytest.raises(OffNotConfirmedError, match="OFF NOT CONFIRMED"):
                device.set(0.0).wait(5.0)


def overtaken(device: Any, server: ScriptedServer, line: str) -> tuple[Any, Any]:
    """Trigger a reading, ask for off while `line` is being answered; return the reading's status and the report."""
    gate = threading.Event()
    play = server._answer

    def answer(received: str) -> bytes | None:
        if received == line:
            gate.wait(5.0)
        return play(received)

    server._answer = answer
    status = device.trigger()
    limit = time.monotonic() + 5.0
    while line not in server.received[len(PING) + len(CONNECT) :]:
        assert time.monotonic() < limit
    reports: list[Any] = []
    off = threading.Thread(target=lambda: reports.append(device.off()))
    off.start()
    while not device._link._urgent:
        assert time.monotonic() < limit
    gate.set()
    off.join(5.0)
    return status, reports[0]


def test_off_overtakes_a_reading_which_is_then_taken_anew() -> None:
    with laser([*look()[:2], *OFF_DARK, *look()]) as (device, server):
        status, report = overtaken(device, server, "pa?")
        assert report.confirmed
        status.wait(5.0)
        assert server.received[len(PING) + len(CONNECT) :][:3] == ["l?", "pa?", "l0"]


def test_a_reading_that_off_overtakes_fails_where_the_link_is_closed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    with laser([*look()[:2], *OFF_DARK]) as (device, server):
        submit = device._link.submit

        def closed(work: Any, **options: Any) -> Any:
            if work == device._measure_and_judge and not options:
                raise DeviceError("laser", "is not connected")
            return submit(work, **options)

        monkeypatch.setattr(device._link, "submit", closed)
        status, _report = overtaken(device, server, "pa?")
        with pytest.raises(DeviceError, match="is not connected"):
            status.wait(5.0)


def test_off_is_repeated_until_it_is_seen() -> None:
    with laser([*OFF, *look(power="0.02"), *OFF_DARK]) as (device, _server):
        assert device.off().confirmed


def test_an_old_reply_cannot_pass_for_off() -> None:
    """A `0` that was still in the line: the serial number is asked for until it is what comes back."""
    with laser([("l?", CLOSE), *OFF, *replies(("gsn?", "0"), ("gsn?", "12345")), *look()]) as (device, server):
        with pytest.raises(DeviceError, match="lost the connection"):
            reading(device)
        assert device.off().confirmed
        assert len(server.connections) == 3


def test_replies_that_never_fit_confirm_nothing() -> None:
    never = [*OFF, *replies(("gsn?", "0"), ("gsn?", "0"))]
    with laser([("l?", CLOSE), *never, *never]) as (device, _server):
        with pytest.raises(DeviceError):
            reading(device)
        report = device.off()
        assert not report.confirmed and "its serial number 12345 is wanted" in report.detail


def test_silence_is_an_error_within_the_deadline() -> None:
    with laser([("l?", b"")]) as (device, _server):
        device._link.deadline_s = 0.2
        with pytest.raises(DeviceError, match=r"is silent within its deadline; sent 'l\?'"):
            reading(device)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (("l?", b"2\r\n"), "0 or 1 is wanted"),
        (("l?", b"Syntax error: illegal command\r\n"), "does not take a command; sent 'l[?]'"),
        (("l?", b"\xffx\r\n"), "garbled reply"),
    ],
)
def test_answers_that_are_none_are_errors(step: Step, said: str) -> None:
    with laser([step]) as (device, _server), pytest.raises(DeviceError, match=said):
        reading(device)


@pytest.mark.parametrize(("place", "reply", "said"), [(1, b"nan\r\n", "a number"), (3, b"-1\r\n", "a whole number")])
def test_numbers_are_numbers(place: int, reply: bytes, said: str) -> None:
    steps = look()
    steps[place] = (steps[place][0], reply)
    with laser(steps[: place + 1]) as (device, _server), pytest.raises(DeviceError, match=f"{said} is wanted"):
        reading(device)


@pytest.mark.parametrize(
    ("steps", "error", "said"),
    [
        ([*replies(("gam?", "1"), ("p 0.050000", "Syntax error"))], DeviceError, "does not take a command; sent 'p 0.05"),
        ([*replies(("gam?", "1"), ("p 0.050000", "0.05"))], DeviceError, "OK is wanted"),
        ([*replies(("gam?", "1"), ("p 0.050000", "OK"), ("p?", "50.0"))], DeviceError, "did not take 0.050000 W"),
        ([*replies(("gam?", "2"), ("l?", "1"))], DeviceError, "emits in mode 2"),
        ([*replies(("gam?", "0"), ("l?", "0"), ("cp", "OK"), ("gam?", "0"))], DeviceError, "does not go to constant power"),
        ([*SET, *replies(("l?", "0"), ("l1", "OK"), *4 * [("l?", "0")], ("ilk?", "0"), ("f?", "0"))], DeviceError,
         "told to emit, and its read-back does not say so"),
        ([*SET, *replies(("l?", "0"), ("l1", "OK"), *4 * [("l?", "0")], ("ilk?", "1"))], RefusedError, "the interlock is open"),
        ([*SET, *replies(("l?", "0"), ("l1", "OK"), *4 * [("l?", "0")], ("ilk?", "0"), ("f?", "7"))], RefusedError, "fault 7"),
    ],
)  # fmt: skip
def test_what_goes_wrong_while_switching_on_ends_with_off(steps: list[Step], error: type[Exception], said: str) -> None:
    # after an answer that is none nothing is believed: off goes out before the connection is opened anew
    mistrusted = steps[-1][1] == b"0.05\r\n"
    tail = [*OFF, *OFF, *replies(("gsn?", "12345")), *look()] if mistrusted else OFF_DARK
    with laser([*look(), *GATES, *steps, *tail]) as (device, _server):
        with pytest.raises(error, match=said):
            device.set(0.04).wait(5.0)
        assert device.off_report.confirmed


def test_another_mode_is_set_right_while_it_is_dark() -> None:
    steps = [*look(), *GATES, *replies(("gam?", "0"), ("l?", "0"), ("cp", "OK"), ("gam?", "1")), *SET[1:],
             *replies(("l?", "1"))]  # fmt: skip
    with laser(steps) as (device, _server):
        device.set(0.04).wait(5.0)


def test_a_command_that_was_left_half_sent_is_ended_and_not_carried_out() -> None:
    with ScriptedServer([("?", ILLEGAL.encode() + b"\r\n"), *CONNECT], ends=b"\r") as server:
        settings = Cobolt06MLD.Settings.model_validate(SETTINGS)
        device = Cobolt06MLD(DeviceContext("laser", server.address, settings, False, time.time))
        device.connect()
        device._link.close()


def test_an_echo_is_left_out() -> None:
    connect = [(command, command.encode() + b"\r\n" + (reply or b"")) for command, reply in CONNECT]
    with laser([], connect) as (device, _server):
        assert device.identity()["serial"] == "12345"


@pytest.mark.parametrize(
    ("identity", "changes", "said"),
    [
        (("12345", "0785-06-01-0100-1000"), {}, "second-generation unit, which counts in mW"),
        (("12345", "0561-06-91-0100-100"), {}, "a 0561-06-91-0100-100 answers at .*, a Cobolt 06-MLD is wanted"),
        (("12345", "Sapphire"), {}, "a Cobolt 06-MLD is wanted"),
        (("*IDN", "?"), {}, "is no Cobolt laser"),
        (("12345", "0785-06-01-0100-100"), {"serial": "7"}, "serial number 12345 answers at .* but 7 is wanted"),
    ],
)
def test_the_wrong_laser_is_named(identity: tuple[str, str], changes: dict[str, Any], said: str) -> None:
    steps = replies(("gsn?", identity[0]), ("glm?", identity[1]), ("gfv?", "CAP-1004.2"))
    with pytest.raises(DeviceError, match=said), laser([], steps, **changes):
        pass


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"wavelength": "808 nm"}, "emits at 785 nm, and bench.toml says 808 nm"),
        ({"max_power": "90 mW"}, "needs 0.1125 W at the head by its transmission, and the head gives 0.1 W"),
    ],
)
def test_the_bench_file_must_fit_the_head(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DeviceError, match=said), laser([], [*IDENTITY, *unit()], **changes):
        pass


def test_off_that_is_not_seen_on_connecting_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.laser_head.OFF_CONFIRMED_WITHIN_S", 0.0)
    lit = look(1, "0.03", "200.0")
    with (
        pytest.raises(OffNotConfirmedError, match="told to go off, and still"),
        laser([], [*IDENTITY, *unit(), *lit, *OFF, *lit]),
    ):
        pass


def test_readings_that_are_not_what_was_set() -> None:
    dark, weak, hot = look(), look(1, "0.02", "310.5"), look(1, "0.05", "310.5", 1)
    with laser([*ON, *dark, *weak, *weak, *hot]) as (device, _server):
        device.set(0.04).wait(5.0)
        assert reading(device)["reason"] == "it does not emit, though 0.04 W is set"
        assert reading(device)["valid"] == 1, "the power may still rise"
        device._light_since -= 10.0
        device._commanded_at -= 10.0
        values = reading(device)
        assert values["reason"] == "the head reports 0.016 W at the sample plane, 0.04 W is set"
        assert math.isnan(values["power"]) and values["emitting"] == 1
        assert "temperature fault" in reading(device)["reason"]


def test_emission_that_nobody_asked_for_is_invalid() -> None:
    with laser(look(1, "0.03", "200.0")) as (device, _server):
        values = reading(device)
        assert values["emitting"] == 1 and values["valid"] == 0 and math.isnan(values["power"])
        assert "emits though it is told to be off" in values["reason"]


def test_a_unit_without_temperature_reads_none() -> None:
    bare = look()[:4]
    connect = [*IDENTITY, *unit()[:3], *replies(("rtect?", ILLEGAL)), *bare]
    with laser(bare, connect) as (device, _server):
        assert math.isnan(reading(device)["temperature"])


def test_a_reconnection_is_audited() -> None:
    steps = [*ON, ("l?", CLOSE), *IDENTITY, *look(), ("l0", b"OK\r\n"), *OFF, *look()]
    with laser(steps) as (device, _server):
        device.set(0.04).wait(5.0)
        with pytest.raises(DeviceError, match="lost the connection"):
            reading(device)
        with pytest.raises(DeviceError, match=r"after reconnecting its output is off, but 0\.04 W was set"):
            reading(device)
        assert device.off().confirmed


def test_health_tells_interlock_start_and_hours() -> None:
    well = [*IDENTITY, *replies(("ilk?", "0"), ("f?", "0")), *look(), *OEM, *replies(("hrs?", "828.98"))]
    ill = [*IDENTITY, *replies(("ilk?", "1")), *look(1, "0.03", "200.0"), *OEM, *replies(("hrs?", ILLEGAL))]
    with laser([*well, *ill]) as (device, _server):
        rows = {row.what: row for row in device.health()}
        assert all(row.ok for row in rows.values())
        assert rows["start"].detail == "by l1 (no autostart, no key switch)"
        assert rows["operating hours"].detail == "828.98 h"
        rows = {row.what: row for row in device.health()}
        assert [name for name, row in rows.items() if not row.ok] == [
            "interlock, key and other protections", "output", "operating hours",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"transmission": "0"}, "must be above 0"),
        ({"transmission": "80 W"}, "does not fit"),
        ({"autostart": "always"}, "'refuse' or 'sequence'"),
        ({"pause": "1 h"}, "at most 2 s"),
    ],
)
def test_settings_are_checked(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Cobolt06MLD.Settings.model_validate({**SETTINGS, **changes})
