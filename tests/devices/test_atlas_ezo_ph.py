"""The EZO-pH driver against literal lines: a value counts only with its code, restarts and streams are survived."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from devices.atlas_ezo_ph import AtlasEzoPh
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.testing import ScriptedBytes
from nanolab.testing.byte_wire import Step


def ask(sent: str, *lines: str) -> Step:
    """One exchange; every line ends with CR."""
    return f"{sent}\r".encode(), "".join(f"{line}\r" for line in lines).encode()


OPEN = [ask("", "*ER"), ask("*OK,1", "*OK"), ask("C,0", "*OK")]
IDENTITY = ask("i", "?i,pH,2.12", "*OK")
CALIBRATION = [ask("Cal,?", "?Cal,2", "*OK"), ask("Slope,?", "?Slope,99.7,100.3,-0.89", "*OK")]
CONNECT = [*OPEN, IDENTITY, ask("T,25.0", "*OK"), ask("T,?", "?T,25.0", "*OK"), *CALIBRATION]
FIRST = ask("R", "3.210", "*OK")
AUDIT = [*OPEN, IDENTITY, ask("T,25.0", "*OK"), ask("T,?", "?T,25.0", "*OK")]


@contextmanager
def probe(*steps: Step, connect: bool = True, settings: dict[str, Any] | None = None) -> Iterator[Any]:
    """A pH meter whose transcript is `steps`, connecting included."""
    with ScriptedBytes([*(CONNECT if connect else []), *steps]) as server:
        wanted = AtlasEzoPh.Settings.model_validate(settings or {})
        # credited time: nothing is on its way in a transcript, so that draining is short
        device: Any = AtlasEzoPh(DeviceContext("ph", server.address, wanted, False, lambda: 12.0, wall_clock=False))
        device.server = server
        try:
            if connect:
                device.connect()
            yield device
        finally:
            device.disconnect()


def read(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {name.removeprefix("ph_"): entry["value"] for name, entry in device.read().items()}


def test_identity_calibration_and_readings_the_first_of_which_is_thrown_away() -> None:
    with probe(FIRST, ask("R", "9.560", "*OK"), ask("R", "9.561", "*OK")) as device:
        assert dict(device.identity()) == {
            "maker": "Atlas Scientific", "model": "pH", "serial": "", "firmware": "2.12",
        }  # fmt: skip
        configuration = {name: entry["value"] for name, entry in device.read_configuration().items()}
        assert configuration == {
            "ph_calibration_points": 2, "ph_acid_slope": 99.7, "ph_base_slope": 100.3, "ph_offset": -0.89,
        }  # fmt: skip
        assert read(device) == {"value": 9.56, "compensation": 25.0, "valid": 1, "reason": ""}
        assert read(device)["value"] == 9.561


def test_older_firmware_speaks_otherwise() -> None:
    old = [*OPEN, ask("i", "?I,pH,1.98", "*OK"), *CONNECT[4:7], ask("Slope,?", "?SLOPE,99.7,100.3", "*ok")]
    old[1] = ask("*OK,1", "*ok")
    with probe(*old, connect=False) as device:
        device.connect()
        assert device.identity()["firmware"] == "1.98"
        assert device.offset.get() != device.offset.get()


def test_a_streamed_line_is_not_taken_for_the_answer() -> None:
    with probe(FIRST, ask("R", "4.000", "*WA", "9.560", "*OK")) as device:
        assert read(device)["value"] == 9.56


def test_a_line_that_nobody_asked_for_opens_the_line_anew() -> None:
    with probe(FIRST, ask("R", "7.000", "*OK")) as device:
        read(device)
        device.server.push(b"4.000\r")
        device.server.expect(*AUDIT, ask("R", "7.001", "*OK"))
        limit = 10_000_000
        while not device._link._worker.transport.unasked() and limit:
            limit -= 1
        assert read(device)["value"] == 7.001


def test_a_restart_makes_the_reading_none_and_tells_the_temperature_again() -> None:
    warm = [ask("T,37.0", "*OK"), ask("T,?", "?T,37.0", "*OK")]
    audit = [*OPEN, IDENTITY, *warm]
    with probe(*warm, FIRST, ask("R", "*RS", "*RE", "7.100", "*OK"), *audit, FIRST, ask("R", "7.000", "*OK")) as device:
        device.compensate(37.0).wait(5.0)
        values = read(device)
        assert values["value"] != values["value"]
        assert "restarted just now" in values["reason"]
        assert read(device) == {"value": 7.0, "compensation": 37.0, "valid": 1, "reason": ""}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("0.000", "*OK"), "dry, broken or unplugged"),
        (("14.000", "*OK"), "dry, broken or unplugged"),
        (("*OV", "7.000", "*OK"), "supply voltage is too high"),
        (("*UV", "7.000", "*OK"), "supply voltage is too low"),
    ],
)
def test_a_reading_that_is_none_says_why(lines: tuple[str, ...], words: str) -> None:
    with probe(FIRST, ask("R", *lines)) as device:
        values = read(device)
        assert values["value"] != values["value"]
        assert values["valid"] == 0
        assert words in values["reason"]


def test_a_meter_without_calibration_reads_nothing() -> None:
    bare = [*CONNECT[:6], ask("Cal,?", "?Cal,0", "*OK"), CALIBRATION[1]]
    with probe(*bare, FIRST, ask("R", "7.000", "*OK"), connect=False) as device:
        device.connect()
        assert read(device)["reason"] == "the meter is not calibrated"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (ask("R", "*ER"), "refuses this command"),
        (ask("R", "7.0x0", "*OK"), "cannot be understood"),
        (ask("R", "*OK"), "cannot be understood"),
        ((b"R\r", b"7.0"), "half a line"),
        (ask("R", *["7.000"] * 101), "half a line"),
    ],
)
def test_what_is_no_reading_is_an_error(step: Step, words: str) -> None:
    with (
        probe(FIRST, step, settings={"deadline": "0.5 s"}) as device,
        pytest.raises(DeviceError, match=words),
    ):
        read(device)


def test_compensation_is_refused_or_read_back() -> None:
    with probe(ask("T,37.0", "*OK"), ask("T,?", "?T,25.0", "*OK")) as device:
        for wrong in (True, "warm", 200.0):
            with pytest.raises(RefusedError):
                device.compensate(wrong)
        with pytest.raises(DeviceError, match=r"did not take 37\.0 degC"):
            device.compensate(37.0).wait(5.0)


@pytest.mark.parametrize(
    ("index", "step", "words"),
    [
        (1, ask("*OK,1"), "cannot be reached"),
        (3, ask("i", "?i,pH", "*OK"), "cannot be understood"),
        (3, ask("i", "?i,EC,2.12", "*OK"), "PH is wanted"),
        (5, ask("T,?", "?T,warm", "*OK"), "cannot be understood"),
        (5, ask("T,?", "25.0", "*OK"), "cannot be understood"),
        (7, ask("Slope,?", "?Slope,99.7", "*OK"), "cannot be understood"),
    ],
)
def test_connecting_to_something_else_fails_with_words(index: int, step: Step, words: str) -> None:
    with (
        # closing a socket takes pyserial 0.3 s, and that must fit in too
        probe(*CONNECT[:index], step, connect=False, settings={"deadline": "2 s"}) as device,
        pytest.raises(DeviceError, match=words),
    ):
        device.connect()


def test_staging_reads_the_calibration_and_gives_up_where_it_cannot() -> None:
    with probe(*CALIBRATION, ask("Cal,?", "*ER")) as device:
        device.stage()
        device.unstage()
        with pytest.raises(DeviceError, match="refuses"):
            device.stage()


def test_health_names_calibration_supply_and_reading() -> None:
    well = [IDENTITY, *CALIBRATION, ask("Status", "?Status,P,3.83", "*OK"), FIRST, ask("R", "9.560", "*OK")]
    worn = [
        IDENTITY, CALIBRATION[0], ask("Slope,?", "?Slope,70.0,99.0,3.00", "*OK"),
        ask("Status", "?Status,B,3.83", "*OK"), ask("R", "0.000", "*OK"),
    ]  # fmt: skip
    with probe(*well, *worn) as device:
        rows = {row.what: row for row in device.health()}
        assert all(row.ok for row in rows.values())
        assert rows["supply"].detail == "3.83 V, last restart: power was switched on"
        rows = {row.what: row for row in device.health()}
        assert "85 % are wanted" in rows["calibration"].detail
        assert rows["supply"].detail.endswith("the supply broke down")
        assert not rows["reading"].ok
