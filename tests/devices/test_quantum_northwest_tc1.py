"""The TC 1 driver against literal frames: sets read back, errors, reports that nobody asked for, off that is seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from devices.qnw_wire import error_words
from devices.quantum_northwest_tc1 import QuantumNorthwestTC1
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.testing import ScriptedBytes
from nanolab.testing.byte_wire import Step


def ask(sent: str, reply: str) -> Step:
    """One exchange; station F1 is added to every frame."""
    return (
        "".join(f"[F1 {text}]" for text in sent.split("|")).encode(),
        "".join(f"[F1 {text}]" for text in reply.split("|")).encode() if reply else b"",
    )


def looks(status: str = "0--C", block: str = "22.84", target: str = "25.00") -> list[Step]:
    """A whole reading."""
    return [ask("IS ?", f"IS {status}"), ask("CT ?", f"CT {block}"), ask("TT ?", f"TT {target}")]


IDENTITY = [ask("XX R-|ID ?", "ID 14"), ask("VN ?", "VN 2.2")]
RANGES = [ask("MT ?", "MT 110"), ask("LT ?", "LT -30"), ask("LS ?", "LS 200"), ask("MS ?", "MS 2500")]
CONNECT = [*IDENTITY, *RANGES, ask("ER ?", "ER -1"), *looks()]
OFF = [ask("TC -|SS -|IS ?", "IS 0--C"), *looks()]


def aim(target: str, status: str = "0-+C", ramp: str | None = None) -> list[Step]:
    """What setting a target takes."""
    steps = [ask("ER ?", "ER -1"), ask("RR S 0|RR ?", "RR 1.00")]
    if ramp is not None:
        steps.append(ask(f"RR S {ramp}|RR ?", f"RR {ramp}"))
    return [*steps, ask(f"TT S {target}|TT ?", f"TT {target}"), ask("TC +|IS ?", f"IS {status}")]


@contextmanager
def holder(*steps: Step, settings: dict[str, Any] | None = None, connect: bool = True) -> Iterator[Any]:
    """A holder whose transcript is `steps`, connecting included."""
    with ScriptedBytes([*(CONNECT if connect else []), *steps]) as server:
        wanted = QuantumNorthwestTC1.Settings.model_validate(settings or {})
        device: Any = QuantumNorthwestTC1(DeviceContext("cuvette_holder", server.address, wanted, False, lambda: 12.0))
        device.server = server
        try:
            if connect:
                device.connect()
            yield device
        finally:
            device.disconnect()


def read(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {name.removeprefix("cuvette_holder_"): entry["value"] for name, entry in device.read().items()}


def test_identity_limits_and_a_first_reading() -> None:
    with holder(*looks("0-+S", "22.84"), *OFF) as device:
        assert dict(device.identity()) == {
            "maker": "Quantum Northwest", "model": "TC 1", "serial": "", "firmware": "2.2",
        }  # fmt: skip
        assert device.limits == (4.0, 60.0)
        values = read(device)
        assert (values["temperature"], values["target"], values["stable"], values["controlling"]) == (22.84, 25.0, 1, 1)
        assert (values["valid"], values["reason"]) == (1, "")
        assert device.describe()["cuvette_holder_temperature"]["units"] == "degC"


@pytest.mark.parametrize(("code", "model"), [("11", "qpod"), ("34", "turret 6"), ("99", "type 99"), ("x", "type x")])
def test_every_model_of_the_family_connects(code: str, model: str) -> None:
    steps = [ask("XX R-|ID ?", f"ID {code}"), *CONNECT[1:], *OFF]
    with holder(*steps, connect=False) as device:
        device.connect()
        assert device.identity()["model"] == model


def test_a_target_is_read_back_even_where_firmware_drops_zeros() -> None:
    steps = aim("37.50", ramp="0.50")
    steps[3] = (steps[3][0], b"noise [F1 TT 37.5]")
    with holder(*steps, *looks("0-+C", target="37.5"), *OFF) as device:
        device.set(37.5, ramp_k_per_min=0.5).wait(5.0)
        assert (device.target.get(), device.controlling.get()) == (37.5, 1)


def test_a_lost_set_is_an_error() -> None:
    steps = aim("37.00")
    steps[2] = ask("TT S 37.00|TT ?", "TT 25.00")
    with (
        holder(*steps[:3], *OFF) as device,
        pytest.raises(DeviceError, match=r"did not take 37\.00, it has 25"),
    ):
        device.set(37.0).wait(5.0)


def test_an_error_report_in_the_middle_is_an_error() -> None:
    steps = aim("37.00")
    steps[2] = ask("TT S 37.00|TT ?", "CT 22.84|ER 09<<F1 TT S 37.00>>|TT 25.00")
    with (
        holder(*steps[:3], *OFF) as device,
        pytest.raises(DeviceError, match=r"did not understand 'F1 TT S 37\.00'"),
    ):
        device.set(37.0).wait(5.0)


def test_control_that_stays_off_is_an_error_in_words() -> None:
    no_coolant = [*aim("37.00", status="1--C"), ask("ER ?", "ER 08"), ask("ER ?", "ER -1")]
    later = looks("0--C", target="37.00")
    with holder(*no_coolant, *later, *OFF) as device:
        with pytest.raises(DeviceError, match="coolant is not enough"):
            device.set(37.0).wait(5.0)
        values = read(device)
        assert values["valid"] == 0
        assert "error 08" in values["reason"]


def test_control_that_goes_off_and_a_target_that_changes_are_seen() -> None:
    with holder(
        *aim("37.00"),
        *looks("0-+C", target="37.00"),
        *looks("0--C", target="37.00"),
        *looks("0-+C", target="20.00"),
        *OFF,
    ) as device:
        device.set(37.0).wait(5.0)
        assert read(device)["reason"] == "temperature control is off though 37 degC is set"
        assert read(device)["reason"] == "its target is 20 degC, 37 degC was set"


def test_a_restart_is_noticed_and_never_taken_for_a_status() -> None:
    with holder(
        ask("IS ?", "IS R|IS 0--C"), *looks()[1:], *aim("37.00"), *looks("0-+C", target="37.00"), *OFF
    ) as device:
        assert "switched off and on" in read(device)["reason"]
        device.set(37.0).wait(5.0)
        assert device.valid.get() == 1


def test_the_stirrer_reads_back_and_is_missed_when_it_stands() -> None:
    stir = [ask("SS S 800|SS ?", "SS 800"), ask("SS +|IS ?", "IS 0+-C")]
    turning = [ask("IS ?", "IS 0+-C"), *looks()[1:], ask("SS ?", "SS 800")]
    with holder(*stir, *turning, *looks(), ask("SS -|IS ?", "IS 0+-C"), *OFF) as device:
        device.stir(800).wait(5.0)
        assert device.stirring.get() == 800
        assert read(device)["reason"] == "the stirrer stands though 800 rpm are set"
        with pytest.raises(DeviceError, match="its stirrer turns though it was told otherwise"):
            device.stir(0).wait(5.0)


@pytest.mark.parametrize("reply", ["NOPROBE", "PT NA"])
def test_a_missing_probe_is_told(reply: str) -> None:
    gone, there = ask("PT ?", reply), ask("PT ?", "PT 24.31")
    connect = [*CONNECT[:-3], *looks(), there]
    leave = [(b"[F1 TC -][F1 SS -]", b""), OFF[0], *looks(), there]
    script = [*connect, *looks(), gone, *looks(), ask("PT ?", "PT ?"), *leave]
    with holder(*script, settings={"probe": True}, connect=False) as device:
        device.connect()
        assert device.probe.get() == 24.31
        values = read(device)
        assert values["reason"] == "there is no probe in the liquid"
        assert values["probe"] != values["probe"]
        with pytest.raises(DeviceError, match="cannot be understood"):
            read(device)


def test_an_impossible_block_temperature_is_nan() -> None:
    with holder(*looks(block="-99.99"), *OFF) as device:
        values = read(device)
        assert values["temperature"] != values["temperature"]
        assert values["reason"] == "its block cannot be at -99.99 degC"


def test_stop_holds_on_the_way_and_resume_goes_on() -> None:
    underway = looks("0-+C", block="30.02", target="37.00")
    held = [*aim("30.02"), *looks("0-+C", block="30.02", target="30.02")]
    with holder(*aim("37.00"), *underway, *underway, *held, *held[-3:], *aim("37.00"), *underway, *OFF) as device:
        device.set(37.0).wait(5.0)
        device.stop(success=True)
        assert device.target.get() == 30.02
        device.pause()
        device.resume()
        assert device.target.get() == 37.0
        device.resume()


def test_stop_can_mean_off_and_leaves_a_settled_block_alone() -> None:
    settled = looks("0-+S", block="37.01", target="37.00")
    with holder(*aim("37.00"), *settled, *settled, *OFF) as device:
        device.set(37.0).wait(5.0)
        device.stop()
        assert device.controlling.get() == 1
    with holder(*aim("37.00"), *settled, *OFF, *OFF, settings={"when_stopped": "off"}) as device:
        device.set(37.0).wait(5.0)
        device.stop()
        assert device.controlling.get() == 0
        device.stop()


def test_off_that_is_not_seen_says_what_to_do() -> None:
    stubborn = [ask("TC -|SS -|IS ?", "IS 0-+C"), *looks("0-+C")]
    with holder(*stubborn, *OFF) as device:
        report = device.off()
        assert not report.confirmed
        assert "control on" in report.detail
        assert "Switch the temperature controller off" in report.words()
    assert device.off().confirmed  # the last thing that was seen


def test_off_goes_out_first_on_a_connection_that_is_not_trusted() -> None:
    with holder(ask("IS ?", "IS what"), (b"[F1 TC -][F1 SS -]", b""), *OFF) as device:
        with pytest.raises(DeviceError, match="cannot be understood"):
            read(device)
        assert device.off().confirmed
        device.server.expect(*OFF)


def test_stop_that_fails_is_in_the_reading_and_off_never_raises() -> None:
    with holder(*aim("37.00"), *looks("0-+C", target="37.00"), settings={"deadline": "0.3 s"}) as device:
        device.set(37.0).wait(5.0)
        device.server.expect(ask("IS ?", ""))
        device.stop()
        assert "could not be told to hold" in device.reason.get()
        device.server.expect((b"[F1 TC -][F1 SS -]", b""), ask("TC -|SS -|IS ?", ""))
        assert not device.off().confirmed
        device.server.expect((b"[F1 TC -][F1 SS -]", b""), ask("TC -|SS -|IS ?", ""))


def test_heating_that_nobody_ordered_is_switched_off_after_reconnecting() -> None:
    again = [*IDENTITY, ask("IS ?", "IS 0-+C"), *OFF]
    with holder(ask("IS ?", "IS what"), *again, *OFF) as device:
        with pytest.raises(DeviceError, match="cannot be understood"):
            read(device)
        with pytest.raises(DeviceError, match="was heating after reconnecting"):
            read(device)


def test_refusals_and_health() -> None:
    hot = [*IDENTITY, ask("HT ?", "HT 61"), ask("HL ?", "HT 60"), *looks("0-+C", block="-99.00")]
    with holder(*hot, *OFF) as device:
        for refuse, value in ((device.set, True), (device.set, 70.0), (device.stir, 100.0)):
            with pytest.raises(RefusedError):
                refuse(value)
        with pytest.raises(RefusedError, match="ramp"):
            device.set(30.0, ramp_k_per_min=20.0)
        rows = {row.what: row for row in device.health()}
        assert rows["identity"].ok
        assert rows["coolant"].detail.endswith("the heat exchanger is at 61 degC, its limit is 60 degC")
        assert not rows["holder"].ok
    with pytest.raises(ValidationError, match="not below"):
        QuantumNorthwestTC1.Settings.model_validate({"min_temperature": "60 degC"})


def test_health_of_a_holder_that_is_well() -> None:
    well = [*IDENTITY, ask("HT ?", "HT 39"), ask("HL ?", "HT 60"), *looks()]
    with holder(*well, *OFF) as device:
        assert all(row.ok for row in device.health())


def test_a_flood_of_reports_ends() -> None:
    with (
        holder((b"[F1 IS ?]", b"[F1 CT 22.84]" * 60), (b"[F1 TC -][F1 SS -]", b""), *OFF) as device,
        pytest.raises(DeviceError, match="half a line"),
    ):
        read(device)


def test_numbers_that_are_none_are_told() -> None:
    with (
        holder(ask("IS ?", "IS 0--C"), ask("CT ?", "CT nan"), (b"[F1 TC -][F1 SS -]", b""), *OFF) as device,
        pytest.raises(DeviceError, match="cannot be understood"),
    ):
        read(device)


def test_error_words() -> None:
    assert "not known (77)" in error_words("77")
    assert "heat exchanger" in error_words("07")
