"""The SCPI layer: grammar, joining, errors, status, faults of the link; against a toy instrument."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sims.instruments.base import Reply, garbled
from sims.instruments.scpi import ScpiInstrument
from sims.instruments.scpi_status import ErrorQueue, StatusGroup
from sims.instruments.scpi_tree import Answer, Pending, scpi
from sims.instruments.scpi_values import (
    ScpiError,
    Setting,
    definite_block,
    read_channel_list,
    read_integer,
    read_limited,
    read_number,
    read_string,
    read_switch,
    read_word,
    split_outside,
)
from sims.testing import StillWorld


class Toy(ScpiInstrument):
    identity = "MAKER,TOY,1,0"
    error_depth = 3
    status_groups: ClassVar[Mapping[str, str]] = {"STATus:OPERation": "operation"}
    settings = (
        Setting("level", "SOURce[1]:LEVel[:IMMediate][:AMPLitude]", 0.5, 0.0, 2.0, "A"),
        Setting("quiet", "DISPlay:QUIet[:STATe]", False),
        Setting("shape", "SOURce[1]:SHAPe", "DC", words=("DC", "PULSe")),
    )

    def __init__(self) -> None:
        super().__init__(StillWorld(), np.random.default_rng(0))
        self.bits = 0
        self.said: list[tuple[Any, ...]] = []
        self.answer: str | None = None

    @scpi("SAY", "SOURce2:SAY")
    def _say(self, word: str, *more: str) -> None:
        self.said.append((word, *more))

    @scpi("OUTPut:ALARm#:SOURce")
    def _numbered(self, line: int, text: str) -> None:
        self.said.append((line, text))

    @scpi("LATer?")
    def _later(self) -> Answer:
        return Pending(lambda: self.answer)

    @scpi("FAIL?")
    def _fail(self) -> str:
        raise ScpiError(-221)

    def condition(self, group: str) -> int:
        return self.bits


def ask(toy: ScpiInstrument, *messages: str) -> str:
    session = toy.connection()
    return b"".join(reply.data for m in messages for reply in session.feed(m.encode() + b"\n")).decode()


@pytest.mark.parametrize(
    "header", ["SOUR:LEV?", "source:level?", "SOUR1:LEV:IMM:AMPL?", ":SOURCE1:LEVEL:AMPL?", "SoUr:lEv:imm?"]
)
def test_short_and_long_and_optional_forms_are_one_command(header: str) -> None:
    assert ask(Toy(), header) == "5.00000000E-01\n"


@pytest.mark.parametrize("header", ["SOU:LEV?", "SOURC:LEV?", "SOUR3:LEV?", "LEV?", "SOUR:LEV:AMPL:IMM?", "SOUR?"])
def test_no_other_spelling_is_understood(header: str) -> None:
    assert ask(Toy(), header, "SYST:ERR?") == '-113,"Undefined header"\n'


def test_golden_vector_9_an_unknown_query_is_silent() -> None:
    toy = Toy()
    assert ask(toy, "BOGUS?") == ""
    assert ask(toy, "SYST:ERR?") == '-113,"Undefined header"\n'
    assert ask(toy, "SYST:ERR?") == '+0,"No error"\n'


def test_semicolon_stays_in_the_subsystem_and_colon_goes_back_to_the_root() -> None:
    toy = Toy()
    assert ask(toy, "SOUR:LEV 1.5;SHAP PULS;LEV?;SHAP?;:DISP:QUI?") == "1.50000000E+00;PULS;0\n"
    assert ask(toy, "SOUR:LEV?;*IDN?;SHAP?") == "1.50000000E+00;MAKER,TOY,1,0;PULS\n"
    assert ask(toy, "SOUR:LEV?;DISP:QUI?") == "1.50000000E+00\n"  # that would be SOUR:DISP:QUI
    assert ask(toy, "SYST:ERR?") == '-113,"Undefined header"\n'


def test_after_a_command_error_the_rest_of_the_message_is_dropped() -> None:
    toy = Toy()
    assert ask(toy, "SOUR:LEV 1;:NONS 3;:SOUR:LEV 2") == ""
    assert ask(toy, "SOUR:LEV?") == "1.00000000E+00\n"
    assert ask(toy, "SOUR:LEV five;:SOUR:LEV 2") == ""  # a wrong type is a command error too
    assert ask(toy, "FAIL?;:SOUR:LEV?") == "1.00000000E+00\n"  # an execution error stops nothing


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("SOUR:LEV", -109),
        ("SOUR:LEV 1,2", -108),
        ("SOUR:LEV LIM 0.5", -104),
        ("SOUR:LEV 3", -222),
        ("SOUR:LEV 1V", -131),
        ("SOUR:LEV? OFTEN", -224),
        ("SOUR:SHAP SINE", -224),
        ("DISP:QUI? MAX", -108),
        ("DISP:QUI MAYBE", -224),
        ("SOUR:SHAP? MIN", -108),
        ("SAY", -109),
        ("SAY a,,b", -109),
        ("@@@", -101),
        ("*RST?", -113),
        ("*NOP", -113),
        ("SOUR:LEV0.5", -101),
        ("SOUR::LEV?", -113),
        ("\u00e9", -101),
        ("*ESE 256", -222),
    ],
)
def test_mistakes_have_their_numbers(message: str, code: int) -> None:
    toy = Toy()
    session = toy.connection()
    assert session.feed(message.encode() + b"\n") == []
    assert ask(toy, "SYST:ERR?").split(",")[0] == str(code)
    assert ask(toy, "SYST:ERR?") == '+0,"No error"\n'


def test_parameters_keep_their_quotes_lists_and_commas() -> None:
    toy = Toy()
    ask(toy, "SAY 'a;b,c',(@101,102), x")
    ask(toy, "SOUR2:SAY 5", "OUTP:ALAR3:SOUR (@1)", "OUTP:ALAR:SOUR z")
    assert toy.said == [("'a;b,c'", "(@101,102)", "x"), ("5",), (3, "(@1)"), (1, "z")]


def test_min_max_def_stand_for_numbers() -> None:
    toy = Toy()
    assert ask(toy, "SOUR:LEV? MIN;LEV? MAX;LEV? DEF") == "0.00000000E+00;2.00000000E+00;5.00000000E-01\n"
    assert ask(toy, "SOUR:LEV MAX;LEV?") == "2.00000000E+00\n"


@settings(max_examples=60)
@given(st.lists(st.integers(1, 12), max_size=12), st.booleans())
def test_any_chunking_gives_the_same_replies(cuts: list[int], carriage_return: bool) -> None:
    end = "\r\n" if carriage_return else "\n"
    stream = end.join(["*IDN?", "", "SOUR:LEV 1;LEV?", "BOGUS?", "SYST:ERR?", "*OPC?", ""]).encode()
    session = Toy().connection()
    replies: list[Reply] = []
    at = 0
    for cut in cuts:
        replies += session.feed(stream[at : at + cut])
        at += cut
    replies += session.feed(stream[at:])
    text = b"".join(reply.data for reply in replies)
    assert text == b'MAKER,TOY,1,0\n1.00000000E+00\n-113,"Undefined header"\n1\n'


def test_error_queue_overflows_into_350_and_cls_empties_it() -> None:
    toy = Toy()
    for _ in range(5):
        ask(toy, "BOGUS")
    assert [ask(toy, "SYST:ERR:NEXT?") for _ in range(4)] == [
        '-113,"Undefined header"\n',
        '-113,"Undefined header"\n',
        '-350,"Error queue overflow"\n',
        '+0,"No error"\n',
    ]
    ask(toy, "BOGUS", "*RST")
    assert ask(toy, "SYST:ERR?") != '+0,"No error"\n'  # *RST keeps errors
    ask(toy, "BOGUS", "*CLS")
    assert ask(toy, "SYST:ERR?") == '+0,"No error"\n'


def test_event_status_and_status_byte() -> None:
    toy = Toy()
    assert ask(toy, "*ESR?") == "128\n"  # power on
    ask(toy, "*ESE 32", "*SRE 36", "BOGUS", "FAIL?", "*OPC")
    assert ask(toy, "*ESE?;*SRE?;*STB?") == "32;36;100\n"
    assert ask(toy, "*ESR?") == str(32 + 16 + 1) + "\n"
    assert ask(toy, "*ESR?") == "0\n"
    assert ask(toy, "*TST?;*WAI;*OPC?") == "0;1\n"
    assert ask(toy, "SYST:VERS?") == "1999.0\n"


def test_status_groups_latch_transitions() -> None:
    toy = Toy()
    assert ask(toy, "STAT:OPER:PTR?;NTR?;ENAB?") == "32767;0;0\n"
    ask(toy, "STAT:OPER:NTR 4;ENAB 4")
    toy.bits = 6
    assert ask(toy, "STAT:OPER:COND?") == "6\n"
    toy.bits = 0
    assert ask(toy, "STAT:OPER:COND?;EVEN?") == "0;6\n"
    assert ask(toy, "STAT:OPER?") == "0\n"
    ask(toy, "STAT:PRES")
    assert ask(toy, "STAT:OPER:NTR?;ENAB?;PTR 1;PTR?") == "0;0;1\n"


def test_group_event_is_cleared_by_cls_but_not_the_condition() -> None:
    bits = 0
    group = StatusGroup(lambda: bits)
    bits = 3
    group.enable = 2
    assert group.update() == 3
    assert group.summary
    group.clear_event()
    assert not group.summary
    assert group.read_event() == 0


def test_waiting_answer_holds_what_comes_after_it() -> None:
    toy = Toy()
    session = toy.connection()
    assert session.feed(b"*OPC?;LAT?;*IDN?\nSOUR:LEV?\n") == []
    assert session.waiting
    assert session.feed(b"*OPC?\n") == []
    assert session.resume() == []
    toy.answer = "now"
    text = b"".join(reply.data for reply in session.resume())
    assert text == b"1;now;MAKER,TOY,1,0\n5.00000000E-01\n1\n"
    assert not session.waiting
    assert session.resume() == []


def test_device_clear_forgets_the_waiting_answer_and_half_a_message() -> None:
    session = Toy().connection()
    session.feed(b"LAT?\n*ID")
    session.clear()
    assert not session.waiting
    assert [reply.data for reply in session.feed(b"*IDN?\n")] == [b"MAKER,TOY,1,0\n"]


def test_endless_line_is_dropped_with_an_error() -> None:
    toy = Toy()
    session = toy.connection()
    session.feed(b"x" * 70000)
    assert ask(toy, "SYST:ERR?") == '-363,"Input buffer overrun"\n'
    assert session.feed(b"*OPC?\n")[0].data == b"1\n"


def test_link_faults() -> None:
    toy = Toy()
    session = toy.connection()

    def asked() -> list[Reply]:
        return session.feed(b"*IDN?\n")

    toy.set_fault("garbled_line", True)
    assert asked()[0].data != b"MAKER,TOY,1,0\n"
    assert asked()[0].data.endswith(b"\n")
    toy.set_fault("garbled_line", False)
    toy.set_fault("half_line", True)
    assert asked()[0].data == b"MAKER,T"
    toy.set_fault("half_line", False)
    toy.set_fault("slow_reply", True)
    assert asked() == [Reply(b"MAKER,TOY,1,0\n", after_wall_s=30.0)]
    toy.set_fault("slow_reply", False)
    toy.set_fault("dropped_reply", True)
    assert [len(asked()) for _ in range(12)] == [0] + 9 * [1] + [0, 1]
    toy.set_fault("dropped_reply", False)
    toy.set_fault("fragmented_reply", True)
    pieces = asked()
    assert len(pieces) > 3
    assert b"".join(piece.data for piece in pieces) == b"MAKER,TOY,1,0\n"
    toy.set_fault("fragmented_reply", False)
    toy.set_fault("silent", True)
    assert session.feed(b"SOUR:LEV 2\n*IDN?\n") == []
    toy.set_fault("silent", False)
    assert session.feed(b"SOUR:LEV?\n")[0].data == b"5.00000000E-01\n"


def test_unasked_line_comes_first() -> None:
    toy = Toy()
    toy.set_fault("spurious_line", True)
    assert ask(toy, "*OPC?", "SOUR:LEV 1") == "*RS\n1\n"


def test_stale_reply_is_410_and_flood_is_350() -> None:
    toy = Toy()
    toy.set_fault("stale_reply", True)
    session = toy.connection()
    assert session.feed(b"*IDN?\n") == []
    toy.set_fault("stale_reply", False)
    assert session.feed(b"SYST:ERR?\n")[0].data == b'-410,"Query INTERRUPTED"\n'
    toy.set_fault("error_queue_overflow", True)
    assert ask(toy, "*ESR?", "SYST:ERR?", "SYST:ERR?", "SYST:ERR?").endswith('-350,"Error queue overflow"\n')


def test_unknown_fault_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'half_line'"):
        Toy().set_fault("halfline", True)


def test_cache_forgets_nothing_that_matters() -> None:
    toy = Toy()
    for index in range(1200):
        ask(toy, f"SOUR:LEV {index / 1000:.3f}")
    assert ask(toy, "SOUR:LEV?") == "1.19900000E+00\n"


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("250mA", "A", 0.25),
        ("250 MA", "A", 0.25),
        ("1MAA", "A", 1e6),
        ("0.25 A", "A", 0.25),
        ("25C", "C", 25.0),
        ("-1.5e-3", None, -1.5e-3),
        (".5", None, 0.5),
        ("5.", None, 5.0),
        ("3uS", "S", 3e-6),
        ("#H1F", None, 31.0),
        ("#Q17", None, 15.0),
        ("#B101", None, 5.0),
        ("50%", "%", 50.0),
    ],
)
def test_numbers(text: str, unit: str | None, value: float) -> None:
    assert read_number(text, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit", "code"),
    [("", None, -104), ("1 2", None, -104), ("1mA", None, -138), ("1XA", "A", -131), ("#HXY", None, -104),
     ("1e999", None, -222), ("nan", None, -104), ("inf", None, -104)],
)  # fmt: skip
def test_what_is_no_number(text: str, unit: str | None, code: int) -> None:
    with pytest.raises(ScpiError) as caught:
        read_number(text, unit)
    assert caught.value.code == code


def test_words_switches_strings_lists() -> None:
    assert read_switch("on")
    assert not read_switch("0")
    assert read_switch("0.7")
    assert read_word("latch", "TRACk", "LATCh") == "LATC"
    assert read_string("'a b'") == "a b"
    with pytest.raises(ScpiError):
        read_string("a b")
    assert read_integer("2.6", 0, 5, 1) == 3
    assert read_limited("maximum", 0.0, 5.0, 1.0) == 5.0
    assert read_channel_list("(@101, 103:105)") == [(101, 101), (103, 105)]
    assert read_channel_list("(@)") == []
    for bad in ["101", "(101)", "(@1:2:3)", "(@a)", "(@1,)"]:
        with pytest.raises(ScpiError):
            read_channel_list(bad)
    assert definite_block("(@101,102,103)") == "#214(@101,102,103)"
    assert definite_block("") == "#10"
    assert split_outside('a,"b,c",(d,e)', ",") == ["a", '"b,c"', "(d,e)"]


@given(st.binary(min_size=1, max_size=60))
def test_garbling_never_leaves_a_number(data: bytes) -> None:
    noisy = garbled(data)
    assert len(noisy) == len(data)
    if data != b"\n":
        with pytest.raises(ValueError, match="could not convert"):
            float(noisy.strip().decode("latin-1"))


def test_error_bits_by_class() -> None:
    queue = ErrorQueue(10)
    for code, bit in [(-113, 32), (-221, 16), (-350, 8), (-410, 4), (261, 8)]:
        queue.summary = 0
        queue.push(ScpiError(code, "text"))
        assert queue.summary == bit
    assert len(queue) == 5
