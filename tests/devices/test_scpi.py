"""SCPI messages joined and taken apart, literal transcripts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.link import Link
from devices.scpi import Scpi, is_query, join, split
from devices.visa import VisaTransport
from nanolab.errors import DeviceError
from nanolab.testing import LineServer, ScriptedServer

OK = '+0,"No error"'


def session(server: LineServer, deadline_s: float = 5.0) -> Scpi:
    link = Link("meter", lambda: VisaTransport(server.address), deadline_s=deadline_s)
    link.open()
    return Scpi(link, "meter")


def test_units_are_joined_from_the_root() -> None:
    assert join(["OUTP1?", "MEAS:CURR1?", "SYST:ERR?"]) == "OUTP1?;:MEAS:CURR1?;:SYST:ERR?"
    assert join(["ABOR", "*RST", "SYST:ERR?"]) == "ABOR;*RST;:SYST:ERR?"
    assert is_query("SOUR:CURR? MAX") and is_query("READ?") and not is_query("SOUR:CURR 0.5")


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters='";\n')), min_size=1))
def test_splitting_undoes_joining(fields: list[str]) -> None:
    assert split(";".join(fields)) == fields
    assert split(";".join([*fields, '-113,"Undefined; header"'])) == [*fields, '-113,"Undefined; header"']


def test_queries_share_one_exchange_with_the_error_queue() -> None:
    with ScriptedServer([("OUTP1?;:MEAS:CURR1?;:SYST:ERR?", b'1;0.3501;0,"No error"\n')]) as server:
        scpi = session(server)
        assert scpi.ask("OUTP1?", "MEAS:CURR1?") == ["1", "0.3501"]
        scpi.link.close()


def test_every_entry_of_the_error_queue_is_an_error_with_its_text() -> None:
    with ScriptedServer(
        [
            ("SOUR:CURR 9;:SYST:ERR?", b'-222,"Data out of range; too high"\n'),
            ("SYST:ERR?", b'-350,"Error queue overflow"\n'),
            ("SYST:ERR?", b'+0,"No error"\n'),
        ]
    ) as server:
        scpi = session(server)
        with pytest.raises(
            DeviceError, match=r"reports an error: -222 Data out of range; too high; -350 Error queue overflow; sent"
        ):
            scpi.ask("SOUR:CURR 9")
        scpi.link.close()


def test_an_error_queue_that_never_empties_ends() -> None:
    with LineServer(lambda _line: b'-100,"Command error"\n') as server:
        scpi = session(server)
        assert len(scpi.errors()) == 25
        scpi.link.close()


def test_a_zero_in_another_form_is_no_error() -> None:
    with ScriptedServer([("X 1;:SYST:ERR?", b'00,"No error"\n')]) as server:
        scpi = session(server)
        assert scpi.ask("X 1") == []
        scpi.link.close()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b'1;+0,"No error"\n', "3 fields are wanted, 2 came"),
        (b'1;2;3;+0,"No error"\n', "3 fields are wanted, 4 came"),
        (b"1;0.5;nonsense\n", "a number and a text in quotes are wanted"),
    ],
)
def test_replies_of_the_wrong_shape_are_garbled_and_the_connection_is_renewed(reply: bytes, why: str) -> None:
    with ScriptedServer([("A?;:B?;:SYST:ERR?", reply), ("C?;:SYST:ERR?", b'5;+0,"No error"\n')]) as server:
        scpi = session(server)
        with pytest.raises(DeviceError, match=why):
            scpi.ask("A?", "B?")
        assert scpi.ask("C?") == ["5"]
        assert len(server.connections) == 2
        scpi.link.close()


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (b'-113,"Undefined header"\n', "its error queue says -113 Undefined header"),
        (b'+0,"No error"\n', "its error queue is empty"),
        (b"x\n", "its error queue is empty"),
        (b"", "does not answer SYST:ERR. either"),
    ],
)
def test_after_silence_the_error_queue_is_asked_within_the_deadline(second: bytes, words: str) -> None:
    with ScriptedServer([("BOGUS?;:SYST:ERR?", b""), ("SYST:ERR?", second)]) as server:
        scpi = session(server, deadline_s=1.0)
        with pytest.raises(DeviceError, match=words):
            scpi.ask("BOGUS?")
        scpi.link.close()


def test_where_speaking_is_forbidden_silence_is_only_told() -> None:
    with ScriptedServer([("MEAS:POW?;:SYST:ERR?", b"")]) as server:
        scpi = session(server, deadline_s=0.2)
        with pytest.raises(DeviceError, match="is silent"):
            scpi.ask("MEAS:POW?", quiet_s=10.0)
        scpi.link.close()


@pytest.fixture
def offline() -> Scpi:
    return Scpi(Link("meter", lambda: VisaTransport("tcp://127.0.0.1:1"), deadline_s=0.1), "meter")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_that_can_be_written_can_be_read(value: float) -> None:
    scpi = Scpi(Link("meter", lambda: VisaTransport("tcp://127.0.0.1:1"), deadline_s=0.1), "meter")
    assert scpi.number(f"{value:+.17E}", "X?") == value
    assert scpi.number(repr(value), "X?") == value


@pytest.mark.parametrize("text", ["", "1_000", "0x10", "1.2.3", "nan", "inf", "12 W", "１"])
def test_what_is_no_number_is_garbled(offline: Scpi, text: str) -> None:
    with pytest.raises(DeviceError, match="a number is wanted"):
        offline.number(text, "X?")


@pytest.mark.parametrize("text", ["INFINITY", "inf", "9.9E+37", "nan", "+9.91000000E+37", "-9.9E37", " NAN "])
def test_what_the_instrument_calls_no_value_is_nan(offline: Scpi, text: str) -> None:
    assert math.isnan(offline.measured(text, "X?"))


def test_words_and_switches(offline: Scpi) -> None:
    assert offline.word("+2048", "X?") == 2048
    assert offline.switch("1", "X?") is True
    assert offline.switch(" 0", "X?") is False
    for text in ("-1", "0.5"):
        with pytest.raises(DeviceError, match="status word"):
            offline.word(text, "X?")
    with pytest.raises(DeviceError, match="0 or 1 is wanted"):
        offline.switch("ON", "X?")
