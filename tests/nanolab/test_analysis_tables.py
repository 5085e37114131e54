"""Reading anybody's curves: dialects, units, invalid readings, and sentences for bad input."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.analysis.columns import understand
from nanolab.analysis.delimited import parse_number, read_text
from nanolab.analysis.tables import CurveTable, ReadOptions, read_curve
from nanolab.errors import FileInvalidError, UsageError

REFERENCE = Path(os.environ.get("NANOLAB_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
CURVES = REFERENCE / "photothermal"


def curve(tmp_path: Path, text: str, **options: object) -> CurveTable:
    path = tmp_path / "curve.csv"
    path.write_bytes(text.encode("utf-8"))
    return read_curve(path, ReadOptions(**options))  # type: ignore[arg-type]  # keywords of the test


def codes(table: CurveTable) -> set[str]:
    return {note.code for note in table.notes}


@pytest.mark.parametrize(
    "text",
    [
        "time_s,T_C\n0,20.5\n60,21.5\n120,22.5\n",
        "t_min;temperature_K\n0;293.65\n1;294.65\n2;295.65\n",
        "Elapsed (s)\tTemp [°C]\r\n0\t20.5\r\n60\t21.5\r\n120\t22.5\r\n",
        "Zeit;T\n",  # replaced below: decimal comma
        "time / h , temperature / F\n0 , 68.9\n0.016666666666666666 , 70.7\n0.03333333333333333 , 72.5\n",
        "# logger 7\n# t_s  T_C\n0   20.5\n60  21.5\n120 22.5\n",
        '"Time (ms)","Temperature (deg C)"\n0,20.5,\n60000,21.5,\n120000,22.5,\n',
    ],
)
def test_dialects_and_units_give_the_same_curve(tmp_path: Path, text: str) -> None:
    if text.startswith("Zeit"):
        text = "time_s;T_C\n0;20,5\n60;21,5\n120;22,5\n"
    table = curve(tmp_path, text)
    assert table.time_s == pytest.approx([0.0, 60.0, 120.0], abs=1e-9)
    assert table.temperature_c == pytest.approx([20.5, 21.5, 22.5], abs=1e-9)
    assert table.delta_k is None
    assert table.laser_on is None
    assert table.valid.all()


def test_all_the_columns_that_are_known(tmp_path: Path) -> None:
    table = curve(
        tmp_path,
        "time_s,T_C,delta_T_C,laser_on,power_mW,ambient_C,Remark no\n"
        "0,25,0,0,0,25,7\n1,26,1,1,800,25.1,8\n2,27,2,1,801,25.2,9\n3,26.5,1.5,0,0,25.2,9\n",
    )
    assert table.delta_k == pytest.approx([0, 1, 2, 1.5])
    assert table.laser_on is not None
    assert table.laser_on.tolist() == [False, True, True, False]
    assert table.extra["power_w"] == pytest.approx([0, 0.8, 0.801, 0])
    assert table.extra["ambient_c"] == pytest.approx([25, 25.1, 25.2, 25.2])
    assert table.notes == ()


def test_headerless_file_by_map(tmp_path: Path) -> None:
    table = curve(
        tmp_path,
        "Please wait for the temperature to reach 95\n0 , 26.29 , 0\n1 , 27.00 , 40.00\n"
        "Temperature has reached 95, please wait\n2 , 28.00 , 40.00\n3 , 27.50 , 0\n\n",
        columns={"time": "0", "temperature": "1", "duty": "2"},
    )
    assert table.time_s.tolist() == [0, 1, 2, 3]
    assert table.laser_on is not None
    assert table.laser_on.tolist() == [False, True, True, False]
    assert codes(table) == {"text_lines", "unit_assumed", "laser_from_duty"}
    text = next(note.text for note in table.notes if note.code == "text_lines")
    assert text.startswith("2 lines hold text")
    assert "4: 'Temperature has reached 95" in text
    assert table.line.tolist() == [2, 3, 5, 6]


def test_map_by_name_with_a_unit(tmp_path: Path) -> None:
    text = "clock,probe,other\n0,300,1\n1,301,1\n"
    table = curve(tmp_path, text, columns={"time_min": "clock", "temperature_K": "probe"})
    assert table.time_s.tolist() == [0.0, 60.0]
    assert table.temperature_c == pytest.approx([26.85, 27.85])


def test_power_tells_when_the_laser_was_on(tmp_path: Path) -> None:
    table = curve(tmp_path, "time_s,T_C,power_w\n0,25,0.001\n1,26,1.0\n2,27,0.99\n3,26,0.002\n")
    assert table.laser_on is not None
    assert table.laser_on.tolist() == [False, True, True, False]
    words = curve(tmp_path, "time_s,T_C,laser\n0,25,off\n1,26,ON\n2,27,on\n")
    assert words.laser_on is not None
    assert words.laser_on.tolist() == [False, True, True]


def test_invalid_readings_stay_and_are_counted(tmp_path: Path) -> None:
    text = "time_s,T_C\n0,25\n1,-8.43\n2,nan\n3,\n4,inf\n5,-273.2\n6,26\n7,-8.4\n"
    table = curve(tmp_path, text, invalid_values=[-8.43])
    assert table.valid.tolist() == [True, False, False, False, False, False, True, True]
    assert table.temperature_c is not None
    assert np.isnan(table.temperature_c[~table.valid]).all()
    note = next(note for note in table.notes if note.code == "invalid_readings")
    assert note.text == "5 of 8 readings are invalid and were not used (line 3, 4, 5, 6, 7)"
    absent = curve(tmp_path, "time_s,T_C\n0,25\n1,26\n", invalid_values=[-8.43, 85.0])
    assert codes(absent) == {"invalid_value_absent"}


def test_stamps_coarser_than_the_readings_are_averaged(tmp_path: Path) -> None:
    table = curve(tmp_path, "time_s,T_C,duty\n0,20,0\n0,21,0\n1,22,5\n2,23,5\n2,nan,5\n2,25,5\n3,26,5\n")
    assert table.time_s.tolist() == [0, 1, 2, 3]
    assert table.temperature_c == pytest.approx([20.5, 22, 24, 26])
    assert "time_shared" in codes(table)
    assert table.extra["duty"].tolist() == [0, 5, 5, 5]


def test_where_and_lines_choose_one_curve(tmp_path: Path) -> None:
    text = "rod,time_s,T_C\nbare,0,20\nbare,1,21\nPEG,0,30\nPEG,1,31\n"
    assert curve(tmp_path, text, where={"rod": "PEG"}).temperature_c == pytest.approx([30, 31])
    assert curve(tmp_path, text, where={"rod": "PEG"}).label == "curve rod=PEG"
    assert curve(tmp_path, text, lines=(4, None)).temperature_c == pytest.approx([30, 31])
    numbers = "run,time_s,T_C\n1,0,20\n1,1,21\n2.0,0,30\n2.0,1,31\n"
    assert curve(tmp_path, numbers, where={"run": "2"}).temperature_c == pytest.approx([30, 31])


def test_a_log_cut_off_in_mid_line(tmp_path: Path) -> None:
    table = curve(tmp_path, "T_C,time_s\n20,0\n21,1\n22")
    assert table.time_s.tolist() == [0, 1]
    assert codes(table) == {"line_incomplete"}
    table = curve(tmp_path, "time_s,T_C\n0,20\n1,21\n2")
    assert table.valid.tolist() == [True, True, False]


BAD = [
    ("", {}, "the file is empty"),
    ("time_s,T_C\n", {}, "no line holds numbers in two columns"),
    ("time_s,T_C\n0,20\n", {}, "1 row of data is no curve"),
    ("time_s,power_w\n0,1\n1,1\n", {}, "no column for temperature .* 'time_s', 'power_w'"),
    ("a,b\n0,1\n1,1\n", {}, "no column for time .* nor temperature"),
    ("time_s,T_C\n0,20\n1,abc\n2,22\n", {}, "line 3: 'abc' in column 'T_C' is not a number"),
    ("time_s,T_C\n0,20\nabc,21\n2,22\n", {}, "line 3: 'abc' in column 'time_s' is not a number"),
    ("time_s,T_C\n0,20\n2,21\n1,22\n", {}, "line 4: time goes back from 2 s to 1 s"),
    ("time_s,T_C\n0,20\n,21\n1,22\n", {}, "line 3: there is no time"),
    ("time_s,T_C,laser_on\n0,20,0\n1,21\n2,22,1\n", {}, "line 3: the line ends before column 'laser_on'"),
    ("time_s,T_C,laser_on\n0,20,0\n1,21,3\n", {}, r"line 3: the laser is on \(1\) or off \(0\), not 3"),
    ("time_s,T_C\n5,20\n5,21\n", {}, "1 moment in time is no curve"),
    ("time_s,temperature_W\n0,20\n1,21\n", {}, "column 'temperature_W': unit 'W' is no unit of temperature"),
    ("time_s,temperature (furlong)\n0,20\n1,21\n", {}, "unit 'furlong' is no unit of temperature"),
    ("time_K,T_C\n0,20\n1,21\n", {}, "column 'time_K': unit 'K' is no unit of time"),
    ("time,T\n0,293\n1,294\n", {}, "lie around 29[34] and have no unit"),
    ("time_s,T_C,T_K\n0,20,293\n1,21,294\n", {}, "'T_C' and 'T_K' could both be the temperature"),
    ("0,20\n1,21\n", {}, "no headings for its 2 columns.*--map time=0,temperature=1"),
    ("time_s,T_C\n0,nan\n1,nan\n", {}, "none of the 2 readings is valid"),
    ("rod,time_s,T_C\na,0,20\na,1,21\nb,0,30\nb,1,31\n", {}, "several curves: .* --where rod=a"),
    ("x,time_s,T_C\na,0,20\nb,0,21\na,1,30\nb,1,31\n", {}, "line 3: 2 readings .*--where x=a"),
    ("time_s,T_C\n" + "0,20\n" * 5 + "1,20\n", {}, "line 3: 5 readings have the same time"),
    ("time_s,T_C,rod\n0,20,a\n1,21,b\n2,21,b\n", {"where": {"rod": "a"}}, "1 row of data"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "options", "sentence"), BAD)
def test_bad_files_get_one_sentence_with_the_place(
    tmp_path: Path, text: str, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(FileInvalidError, match=rf"curve\.csv.*{sentence}") as caught:
        curve(tmp_path, text, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"where": {"rod": "barr"}}, "no such value in 'rod'; did you mean 'bare'"),
        ({"where": {"rods": "bare"}}, "no column 'rods'; did you mean 'rod'"),
        ({"columns": {"time": "7"}}, "has 3 columns, numbered from 0 to 2"),
        ({"columns": {"temprature": "2"}}, "--map temprature: no such quantity; did you mean 'temperature'"),
        ({"columns": {"time_K": "1"}}, "unit 'K' is no unit of time"),
        ({"columns": {"time": "tim_s"}}, "no column 'tim_s'; did you mean 'time_s'"),
    ],
)
def test_bad_options_name_the_nearest(tmp_path: Path, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        curve(tmp_path, "rod,time_s,T_C\nbare,0,20\nbare,1,21\n", **options)


def test_columns_of_a_headerless_file_have_no_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no headings; give the number of the column"):
        curve(tmp_path, "0,20\n1,21\n", columns={"time": "time_s"})


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(FileInvalidError, match="no such file"):
        read_curve(tmp_path / "nothing.csv")
    with pytest.raises(FileInvalidError, match="cannot be read"):
        read_curve(tmp_path)
    binary = tmp_path / "book.xlsx"
    binary.write_bytes(b"PK\x03\x04\x00\x00")
    with pytest.raises(FileInvalidError, match="not a text file"):
        read_curve(binary)
    wide = tmp_path / "wide.csv"
    wide.write_bytes("time_s,T_C\n0,20\n1,21\n".encode("utf-16"))
    assert read_curve(wide).time_s.tolist() == [0, 1]
    latin = tmp_path / "latin.csv"
    latin.write_bytes("time_s,T (°C)\n0,20\n1,21\n".encode("latin-1"))
    assert read_curve(latin).temperature_c == pytest.approx([20, 21])
    assert "°" in read_text(latin)


@pytest.mark.parametrize(
    ("heading", "kind", "unit"),
    [
        ("time_s", "time", "s"), ("t_min", "time", "min"), ("Time (h)", "time", "h"), ("t", "time", None),
        ("T", "temperature", None), ("T_C", "temperature", "degC"), ("temp_deg_C", "temperature", "degC"),
        ("temperature_K", "temperature", "K"), ("T / °C", "temperature", "degC"), ("ΔT (K)", "delta_T", "K"),
        ("delta_T_C", "delta_T", "degC"), ("dT", "delta_T", None), ("laser_on", "laser_on", None),
        ("power_w", "power", "w"), ("Laser power (mW)", "power", "mw"), ("ambient_c", "ambient", "degC"),
        ("T_env_C", "ambient", "degC"), ("duty_pct", "duty", "pct"), ("minutes", "time", "min"),
        ("nanoparticle", None, None), ("X_cm", None, None), ("laser_current", None, None),
    ],
)  # fmt: skip
def test_headings(heading: str, kind: str | None, unit: str | None) -> None:
    column = understand(heading)
    assert (column.kind, column.unit, column.problem) == (kind, unit, None)


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_every_number_is_read_back(number: float, comma: bool) -> None:
    text = repr(number).replace(".", ",") if comma else repr(number)
    assert parse_number(text, comma) == number


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(text.encode("utf-8", errors="replace"))
    with pytest.raises((FileInvalidError, UsageError)) as caught:
        read_curve(path, ReadOptions(columns={"time": "0", "temperature": "1"}))
        raise UsageError("it was read")
    assert "\n" not in str(caught.value) or "\n" in text


needs_reference = pytest.mark.skipif(
    not CURVES.is_dir(),
    reason="the measured data sets are not here: name their folder in NANOLAB_REFERENCE_DATA",
)


@needs_reference
@pytest.mark.reference_data
def test_digitised_nanorods() -> None:
    vikas = read_curve(CURVES / "gnr_digitised" / "vikas2023_gnr10x38_808nm_20ugml.csv")
    assert vikas.time_s.size == 179
    assert vikas.laser_on is not None
    assert vikas.time_s[vikas.laser_on].max() == 900
    rods = CURVES / "gnr_digitised" / "sanchez2014_gnr10x41_808nm_2W.csv"
    bare = read_curve(rods, ReadOptions(where={"nanoparticle": "B-GNR"}))
    peg = read_curve(rods, ReadOptions(where={"nanoparticle": "PEG-GNR"}))
    assert (bare.time_s.size, peg.time_s.size) == (314, 332)
    assert bare.temperature_c is not None
    assert bare.delta_k is not None
    assert np.median(bare.temperature_c - bare.delta_k) == pytest.approx(25.471, abs=1e-3)


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize("folder", ["cqd_laser_steps", "cqd_laser_control"])
def test_every_thermocouple_log_is_read_or_refused_with_its_line(folder: str) -> None:
    read, refused = 0, []
    for path in sorted((CURVES / folder).glob("*.txt")):
        columns = {"time": "0", "temperature": "1"}
        try:
            table = read_curve(path, ReadOptions(columns=columns, invalid_values=[-8.43]))
        except FileInvalidError as error:
            refused.append((path.name, str(error)))
            continue
        read += 1
        assert np.all(np.diff(table.time_s) > 0)
    if folder == "cqd_laser_steps":
        assert (read, refused) == (23, [])
    else:
        assert [name for name, _ in refused] == [
            "2021_10-22-21-CQD-LAMP+.txt",
            "2021_ThermalCycling-with_CQD.txt",
            "6-2-22-LAMP_Thermal_Profile.txt",
            "9-9-22-HTI_Themal_camera_DATA.txt",
        ]
        assert all("time goes back" in text or "two columns" in text for _, text in refused)
        lamp = CURVES / folder / "6-2-22-LAMP_Thermal_Profile.txt"
        second = read_curve(lamp, ReadOptions(columns={"time": "0", "temperature": "1"}, lines=(624, None)))
        assert second.time_s[-1] == 1202
