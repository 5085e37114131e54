"""The NE-1000 driver against literal bytes: frames of both modes, alarms in place of replies, orders read back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from devices.new_era_dose import Dose, Order
from devices.new_era_frames import safe_frame
from devices.new_era_ne1000 import NewEraNE1000
from devices.new_era_wire import alarm_words, number, rate_text, volume_text
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.testing import ScriptedBytes
from nanolab.testing.byte_wire import Step

SYRINGE = {"syringe_diameter": "26.59 mm", "syringe_volume": "60 mL", "syringe_content": "50 mL"}
AT_REST = (b"0DIS\r", b"\x0200SI0.000W0.000ML\x03")


def basic(command: str, reply: str) -> Step:
    """One exchange in basic mode with pump 0."""
    return f"0{command}\r".encode(), b"\x02" + reply.encode() + b"\x03"


def safe(command: str, reply: str, *, plain: bool = False) -> Step:
    """One exchange in safe mode with pump 0; the reply in basic mode where `plain`."""
    answer = b"\x02" + reply.encode() + b"\x03" if plain else safe_frame(reply.encode())
    return safe_frame(f"0{command}".encode()), answer


CONNECT: list[Step] = [
    safe("SAF", "00S0", plain=True),
    basic("VER", "00SNE1000V3.928"),
    AT_REST,
    basic("", "00S"),
    basic("DIA", "00S26.59"),
    AT_REST,
]
GOODBYE: list[Step] = [basic("", "00S"), AT_REST]
WRITE: list[Step] = [
    AT_REST,
    basic("", "00S"),
    basic("DIA", "00S26.59"),
    AT_REST,
    basic("CLDINF", "00S"),
    basic("CLDWDR", "00S"),
    AT_REST,
    basic("DIRINF", "00S"),
    basic("DIR", "00SINF"),
    basic("VOLUL", "00S"),
    basic("VOL12.34", "00S"),
    basic("VOL", "00S12.34UL"),
    basic("RAT250.0UM", "00S"),
    basic("RAT", "00S250.0UM"),
]
ARM: list[Step] = [safe("SAF10", "00S"), safe("SAF", "00S10")]
DISARM: list[Step] = [safe("SAF0", "00S", plain=True), safe("SAF", "00S0", plain=True)]


@contextmanager
def pump(*steps: Step, connect: bool = True, settings: dict[str, Any] | None = None) -> Iterator[Any]:
    """A connected pump whose transcript is `steps`, connecting and leaving included; its server as ``server``."""
    script = [*(CONNECT if connect else []), *steps]
    with ScriptedBytes(script) as server:
        wanted = NewEraNE1000.Settings.model_validate({**SYRINGE, **(settings or {})})
        device: Any = NewEraNE1000(DeviceContext("pump", server.address, wanted, False, lambda: 12.0))
        device.server = server
        try:
            if connect:
                device.connect()
            yield device
        finally:
            device.disconnect()


def read(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {name.removeprefix("pump_"): entry["value"] for name, entry in device.read().items()}


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("SAF0", "02 08 53 41 46 30 55 43 03"),
        ("SAF5", "02 08 53 41 46 35 05 e6 03"),
        ("0SAF50", "02 0a 30 53 41 46 35 30 af 7a 03"),
        ("VER", "02 07 56 45 52 64 e0 03"),
        ("00S", "02 07 30 30 53 aa a6 03"),
        ("00A?T", "02 09 30 30 41 3f 54 05 40 03"),
    ],
)
def test_safe_frames_are_those_of_the_protocol(text: str, frame: str) -> None:
    assert safe_frame(text.encode()) == bytes.fromhex(frame)


def test_identity_and_a_first_reading() -> None:
    with pump(basic("DIS", "00SI1.500W0.000ML"), *GOODBYE) as device:
        assert dict(device.identity()) == {
            "maker": "New Era", "model": "NE1000", "serial": "", "firmware": "3.928",
        }  # fmt: skip
        values = read(device)
        assert values["dispensed"] == 1.5
        assert (values["status"], values["pumping"], values["valid"], values["reason"]) == ("stopped", 0, 1, "")
        assert device.read_configuration()["pump_content"]["value"] == 48.5
        assert device.describe()["pump_dispensed"]["units"] == "mL"


def test_a_pump_left_in_safe_mode_with_an_alarm_is_brought_back() -> None:
    script = [
        safe("SAF", "00A?T"),
        safe("SAF", "00S50"),
        safe("VER", "00SNE1000V3.928"),
        safe("DIS", "00SI0.000W0.000ML"),
        safe("", "00S"),
        safe("DIA", "00S26.59"),
        safe("DIS", "00SI0.000W0.000ML"),
        *DISARM,
        *GOODBYE,
    ]
    with pump(*script, connect=False) as device:
        device.connect()
        assert device.valid.get() == 1


def test_an_order_is_written_read_back_armed_and_seen_to_run() -> None:
    running = safe("DIS", "00II1.234W0.000UL")
    done = safe("DIS", "00SI12.34W0.000UL")
    goodbye = [basic("", "00S"), basic("DIS", "00SI12.34W0.000UL")]
    with pump(*WRITE, *ARM, safe("RUN", "00I"), running, done, *DISARM, *goodbye) as device:
        device.dispense(0.01234, 0.25).wait(5.0)
        assert device.pumping.get() == 1
        assert device.dispensed.get() == pytest.approx(1.234e-3)
        values = read(device)
        assert values["dispensed"] == pytest.approx(12.34e-3)
        assert values["rate"] == 0.25
        assert (values["pumping"], values["valid"]) == (0, 1)


def test_run_is_not_repeated_after_an_alarm() -> None:
    halted = [safe("", "00S"), safe("DIS", "00SI0.000W0.000UL"), *DISARM]
    with pump(*WRITE, *ARM, safe("RUN", "00A?R"), *halted, *GOODBYE) as device:
        with pytest.raises(DeviceError, match=r"did not start: its power was interrupted \(alarm R\)"):
            device.dispense(0.01234, 0.25).wait(5.0)
        assert device.pumping.get() == 0


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("00S?", "does not know this command"),
        ("00S?NA", "cannot do this now"),
        ("00S?OOR", "out of its range"),
        ("00S?COM", "damaged packet"),
        ("00S?IGN", "ignored this"),
        ("00S?XYZ", r"\?XYZ"),
        ("01SI0.000W0.000ML", "cannot be understood"),
        ("00SI0.000", "no volumes"),
    ],
)
def test_errors_are_words(reply: str, words: str) -> None:
    # a reply that makes no sense: stop is sent at once, then the connection is opened anew
    confused = words == "cannot be understood"
    leave = [(b"0STP\r", b""), safe("", "00S", plain=True), AT_REST] if confused else GOODBYE
    with pump(basic("DIS", reply), *leave) as device, pytest.raises(DeviceError, match=words):
        read(device)


def test_an_alarm_again_and_again_is_an_error() -> None:
    storm = [basic("DIS", "00A?E")] * 3
    with pump(*storm, *GOODBYE) as device, pytest.raises(DeviceError, match=r"program has an error .* again and again"):
        read(device)


def test_a_damaged_frame_and_a_pump_that_is_something_else() -> None:
    damaged = bytearray(safe_frame(b"00S0"))
    damaged[3] ^= 1
    with (
        pump((safe_frame(b"0SAF"), bytes(damaged)), connect=False) as device,
        pytest.raises(DeviceError, match="garbled"),
    ):
        device.connect()
    other = [safe("SAF", "00S0", plain=True), basic("VER", "00SHELLO")]
    with pump(*other, connect=False) as device, pytest.raises(DeviceError, match="is no New Era pump"):
        device.connect()


def test_half_a_frame_and_silence_end_at_the_deadline() -> None:
    soon = {"deadline": "0.3 s"}
    for reply, words in ((b"junk\x02\x0900S", "half a line"), (b"", "silent")):
        with (
            pump((safe_frame(b"0SAF"), reply), connect=False, settings=soon) as device,
            pytest.raises(DeviceError, match=words),
        ):
            device.connect()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (basic("DIR", "00SWDR"), "did not take the direction INF, it has WDR"),
        (basic("VOL", "00S12.34ML"), "did not take 12.34 UL, it has 12.34 ML"),
        (basic("RAT", "00Snonsense"), "sent no number"),
    ],
)
def test_what_does_not_read_back_is_not_run(change: Step, words: str) -> None:
    upto = [index for index, step in enumerate(WRITE) if step[0] == change[0]][-1]
    with pump(*WRITE[:upto], change, *GOODBYE) as device, pytest.raises(DeviceError, match=words):
        device.dispense(0.01234, 0.25).wait(5.0)


def test_counters_that_do_not_clear_are_an_error() -> None:
    stuck = basic("DIS", "00SI0.500W0.000ML")
    steps = [stuck, basic("", "00S"), basic("DIA", "00S26.59"), stuck, *WRITE[4:6], stuck, basic("", "00S"), stuck]
    with pump(*steps) as device, pytest.raises(DeviceError, match="did not clear its counters"):
        device.dispense(0.01234, 0.25).wait(5.0)


def test_a_watchdog_that_is_not_taken_stops_the_order() -> None:
    refused = [safe("SAF10", "00S", plain=True), safe("SAF", "00S0", plain=True)]
    with pump(*WRITE, *refused, *GOODBYE, *GOODBYE) as device, pytest.raises(DeviceError, match="watchdog of 10 s"):
        device.dispense(0.01234, 0.25).wait(5.0)


def test_the_diameter_is_written_only_where_it_differs() -> None:
    different = [*CONNECT[:4], basic("DIA", "00S8.660"), basic("DIA26.59", "00S"), basic("DIA", "00S26.59"), AT_REST]
    with pump(*different, *GOODBYE, connect=False) as device:
        device.connect()
        assert device.diameter.get() == 26.59


def test_a_pump_that_does_not_stop_is_told_and_never_raises() -> None:
    stubborn = [basic("", "00I")] + [basic("STP", "00I"), basic("", "00I")] * 4
    with pump(*stubborn, *GOODBYE) as device:
        device.stop()
        assert device.valid.get() == 0
        assert "not seen to stop" in device.reason.get()
        with pytest.raises(RefusedError, match="acknowledge"):
            device.set(0.1)


def test_a_pump_that_runs_by_itself_is_told() -> None:
    by_hand = basic("DIS", "00WI0.000W0.200ML")
    stop = [basic("", "00W"), basic("STP", "00P"), basic("", "00P"), basic("STP", "00S"), *GOODBYE]
    with pump(by_hand, *stop) as device:
        values = read(device)
        assert values["reason"] == "it is withdrawing, and no order was given from here"
        assert (values["valid"], values["withdrawn"]) == (0, 0.2)


def test_a_pump_that_was_stopped_at_its_keypad_waits_for_a_person() -> None:
    short = [safe("DIS", "00SI3.000W0.000UL"), *DISARM]
    start = [*WRITE, *ARM, safe("RUN", "00I"), safe("DIS", "00II0.000W0.000UL")]
    goodbye = [basic("", "00S"), basic("DIS", "00SI3.000W0.000UL")]
    with pump(*start, *short, *goodbye) as device:
        device.dispense(0.01234, 0.25).wait(5.0)
        assert "stopped 0.00934 mL short of 0.01234 mL" in read(device)["reason"]
        with pytest.raises(RefusedError, match="acknowledge"):
            device.set(0.1)


HALT: list[Step] = [basic("", "00I"), basic("STP", "00P"), basic("", "00P"), basic("STP", "00S"), *GOODBYE]


def test_an_order_under_way_is_not_given_twice_and_no_other_is_taken() -> None:
    running = safe("DIS", "00II1.234W0.000UL")
    halt = [safe("", "00I"), safe("STP", "00P"), safe("", "00P"), safe("STP", "00S"), safe("", "00S")]
    leave = [*halt, safe("DIS", "00SI1.234W0.000UL"), *DISARM]
    with pump(*WRITE, *ARM, safe("RUN", "00I"), running, running, running, *leave) as device:
        assert device.limits == (0.0, 1.0)
        device.set(0.01234, rate_ml_per_min=0.25).wait(5.0)
        device.set(0.01234).wait(5.0)
        with pytest.raises(RefusedError, match="it is pumping; stop it first"):
            device.set(0.02).wait(5.0)


def test_staging_writes_the_diameter_and_gives_up_where_it_cannot() -> None:
    stage = [basic("", "00S"), basic("DIA", "00S26.59"), AT_REST]
    with pump(*stage, *GOODBYE, basic("", "00S"), basic("DIA", "00S?"), *GOODBYE) as device:
        device.stage()
        device.acknowledge("nothing was the matter")
        device.unstage()
        with pytest.raises(DeviceError, match="does not know"):
            device.stage()


def test_a_program_that_is_paused_is_ended_before_an_order() -> None:
    end = [basic("", "00P"), basic("", "00P"), basic("STP", "00S"), *GOODBYE]
    with (
        pump(AT_REST, *end, basic("DIA", "00S?"), *GOODBYE) as device,
        pytest.raises(DeviceError, match="does not know"),
    ):
        device.dispense(0.01234, 0.25).wait(5.0)


def test_a_stop_that_comes_while_an_order_is_written_wins() -> None:
    with pump(*WRITE, *GOODBYE) as device, pytest.raises(RefusedError, match="a stop came in before it began"):
        device._link.call(lambda: device._dispense(0.01234, 0.25, device._ticket - 1))


def test_without_a_watchdog_none_is_armed() -> None:
    with pump(
        *WRITE, basic("RUN", "00I"), basic("DIS", "00II0.000W0.000UL"), *HALT, settings={"watchdog": "0 s"}
    ) as device:
        device.dispense(0.01234, 0.25).wait(5.0)
        assert device.pumping.get() == 1


def test_a_pump_that_runs_after_reconnecting_is_stopped() -> None:
    again = [safe("SAF", "00S0", plain=True), basic("VER", "00SNE1000V3.928"), basic("", "00I"), *HALT]
    with pump(basic("DIS", "00nonsense"), *again, *GOODBYE) as device:
        with pytest.raises(DeviceError, match="cannot be understood"):
            read(device)
        with pytest.raises(DeviceError, match="was pumping after reconnecting"):
            read(device)


def test_health_tells_of_a_pump_that_runs_by_itself() -> None:
    looks = [safe("SAF", "00S0", plain=True), basic("VER", "00SNE1000V3.928"), basic("DIS", "00II0.100W0.000ML")]
    with pump(*looks, basic("DIA", "00I26.59"), *HALT) as device:
        rows = {row.what: row for row in device.health()}
        assert "no order was given" in rows["pump"].detail
        assert rows["syringe"].ok


def test_health_names_what_is_wrong() -> None:
    looks = [safe("SAF", "00S0", plain=True), basic("VER", "00SNE1000V3.928"), AT_REST, basic("DIA", "00S8.660")]
    with pump(*looks, *GOODBYE) as device:
        rows = {row.what: row for row in device.health()}
        assert rows["pump"].ok
        assert not rows["syringe"].ok
        assert "8.66 mm" in rows["syringe"].detail


def test_settings_that_do_not_fit_are_refused() -> None:
    for change, words in (
        ({"syringe_content": "70 mL"}, "more than syringe_volume"),
        ({"rate": "5 mL/min"}, "above max_rate"),
        ({"watchdog": "2.5 s"}, "whole number"),
        ({"serial": "1"}, "no serial number"),
    ):
        with pytest.raises(ValidationError, match=words):
            NewEraNE1000.Settings.model_validate({**SYRINGE, **change})
    unwatched: Any = NewEraNE1000.Settings.model_validate({**SYRINGE, "watchdog": "0 s"})
    assert unwatched.read_within_s == float("inf")


def test_numbers_have_four_digits_and_no_exponent() -> None:
    assert [number(value) for value in (1.234, 12.34, 123.4, 1234.0, 0.5)] == [
        "1.234", "12.34", "123.4", "1234", "0.500",
    ]  # fmt: skip
    for value in (1e-5, 0.00123, 12345.6):
        with pytest.raises(RefusedError, match="four digits"):
            number(value)
    assert volume_text(0.0125) == ("12.50", "UL")
    assert volume_text(2.5) == ("2.500", "ML")
    assert [rate_text(value) for value in (2.0, 0.2, 5e-4)] == [("2.000", "MM"), ("200.0", "UM"), ("30.00", "UH")]
    assert "not known (Q)" in alarm_words("Q")


def test_what_was_counted_survives_counters_that_begin_anew() -> None:
    settings: Any = NewEraNE1000.Settings.model_validate(SYRINGE)
    dose = Dose("pump", settings)
    dose.begin(3.0, 1.0)
    dose.count(3.5, 1.0)
    assert (dose.infused, dose.withdrawn) == (0.5, 0.0)
    dose.count(0.1, 0.0)  # its power was interrupted
    assert (dose.infused, dose.withdrawn) == pytest.approx((0.6, 0.0))
    assert dose.missing(Order(1.0, 0.2, 1.0)) == pytest.approx(0.4)
    dose.count(0.0999, 0.0)  # rounding in another unit
    assert dose.infused == pytest.approx(0.5999)


def test_the_syringe_cannot_take_more_than_it_holds() -> None:
    settings: Any = NewEraNE1000.Settings.model_validate({**SYRINGE, "max_volume": "100 mL"})
    dose = Dose("pump", settings)
    with pytest.raises(RefusedError, match="cannot be withdrawn"):
        dose.check_room(-11.0)
    with pytest.raises(RefusedError, match="the syringe holds 50 mL"):
        dose.check_room(51.0)
    with pytest.raises(RefusedError, match="no rate"):
        dose.check_rate(True)
    assert dose.limits == (0.0, 50.0)


def test_an_alarm_that_is_shouted_and_answered_leaves_no_reply_for_the_next_question() -> None:
    request, reply = basic("DIS", "00A?S")
    twice = (request, reply + reply)
    again = [safe("SAF", "00S0", plain=True), basic("VER", "00SNE1000V3.928"), basic("", "00S")]
    with pump(twice, *again, basic("DIS", "00SI1.500W0.000ML"), *GOODBYE) as device:
        values = read(device)
        assert values["dispensed"] == 1.5
        assert "its motor stalled" in values["reason"]
