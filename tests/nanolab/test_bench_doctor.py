"""The doctor: each thing that can be wrong is one row with what to do about it."""

import errno
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nanolab.bench import connect, doctor
from nanolab.bench.config import BenchConfig, DeviceConfig
from nanolab.bench.doctor import check_devices, check_disk, check_drivers, check_names, check_python, examine
from nanolab.errors import DeviceError, ExitCode, NanolabError
from nanolab.interfaces import HealthCheck


def test_python_and_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    row = check_python()
    assert row.ok
    assert "bluesky" in row.detail
    monkeypatch.setattr(doctor, "PACKAGES", ("bluesky", "no-such-package"))
    row = check_python()
    assert not row.ok
    assert "missing: no-such-package" in row.detail
    assert "pip install" in row.remedy


def test_a_driver_that_cannot_be_imported_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_group: str, name: str) -> Any:
        if name == "ocean_flamex":
            raise NanolabError("the driver 'ocean_flamex' cannot be loaded: no module named seabreeze")

    monkeypatch.setattr(doctor, "load", load)
    row = check_drivers()
    assert not row.ok
    assert row.detail == "the driver 'ocean_flamex' cannot be loaded: no module named seabreeze"
    monkeypatch.setattr(doctor, "load", lambda _group, _name: None)
    row = check_drivers()
    assert row.ok
    assert "ocean_flamex" in row.detail


@pytest.mark.parametrize("name", ["devices.py", "plans/__init__.py", "sims/notes.txt"])
def test_a_file_of_the_user_that_hides_a_package_of_ours(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    home = str(Path(doctor.__file__).parents[2])
    (row,) = check_names([str(tmp_path), home])
    if name == "sims/notes.txt":  # a folder without __init__.py hides nothing that comes later on the path
        assert row.ok
    else:
        assert not row.ok
        assert str(tmp_path / name.split("/")[0]) in row.detail
        assert "rename it" in row.remedy


def test_nothing_hides_our_packages_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (row,) = check_names()
    assert row.ok


def test_the_disk_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = check_disk(tmp_path / "not" / "there")
    assert row.ok
    assert "GB free" in row.detail
    assert not (tmp_path / "not").exists()
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 10**18)
    assert "make room" in check_disk(tmp_path).remedy

    def full(**_options: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nanolab.bench.doctor.tempfile.TemporaryFile", full)
    row = check_disk(tmp_path)
    assert not row.ok
    assert row.detail.endswith("No space left on device")


class Forgetful(io.BytesIO):
    """A file that does not give back what was written."""

    def read(self, size: int | None = -1) -> bytes:
        return b""


def test_a_disk_that_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanolab.bench.doctor.tempfile.TemporaryFile", lambda **_options: Forgetful())
    assert "did not come back" in check_disk(tmp_path).detail


def test_a_bad_bench_file_is_told_line_by_line_with_exit_code_3(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text('version = 1\n[bench]\nnme = 1\n[limits]\nmax_power = "1 m"\n', encoding="utf-8")
    rows, code = examine(file)
    bad = [row for row in rows if not row.ok]
    assert code is ExitCode.INVALID_FILE
    assert [row.what for row in bad] == ["bench file", "bench file"]
    assert "nme: unknown key" in bad[0].detail


class Driver:
    """A driver that is well, unless its name says otherwise."""

    def __init__(self, context: Any) -> None:
        self.name = context.name

    def connect(self) -> None:
        if self.name == "thermocouple":
            raise DeviceError("thermocouple", "no answer within 2 s")

    def disconnect(self) -> None:
        CLOSED.append(self.name)

    def identity(self) -> dict[str, str]:
        return {"maker": "ACME", "model": "L1", "serial": "7"}

    def health(self) -> Sequence[HealthCheck]:
        if self.name == "powermeter":
            raise DeviceError("powermeter", "the head is not plugged in")
        return [HealthCheck("identity", True, "ACME L1"), HealthCheck("interlock", False, "open", "close the lid")]


CLOSED: list[str] = []


def bench_of(address: str, *roles: str) -> BenchConfig:
    device = {role: DeviceConfig(driver="acme", address=address, settings={}) for role in roles}
    return BenchConfig(version=1).model_copy(update=device)


def test_one_silent_device_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    CLOSED.clear()
    monkeypatch.setattr(connect, "load", lambda _group, _name: Driver)
    rows = check_devices(bench_of("tcp://192.0.2.1:5", "laser", "thermocouple", "powermeter"))
    assert [(row.what, row.ok, row.detail) for row in rows] == [
        ("laser", True, "ACME L1 7 at tcp://192.0.2.1:5"),
        ("laser: interlock", False, "open"),
        ("thermocouple", False, "acme at tcp://192.0.2.1:5: no answer within 2 s"),
        ("powermeter", True, "ACME L1 7 at tcp://192.0.2.1:5"),
        ("powermeter", False, "powermeter: the head is not plugged in"),
    ]
    assert sorted(CLOSED) == ["laser", "powermeter", "thermocouple"]


def test_a_driver_that_cannot_be_loaded_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_group: str, _name: str) -> Any:
        raise NanolabError("the driver 'acme' cannot be loaded: no module named acme")

    monkeypatch.setattr(connect, "load", load)
    (row,) = check_devices(bench_of("COM3", "laser"))
    assert not row.ok
    assert "no module named acme" in row.detail


def test_a_simulated_bench_that_does_not_come_up_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(**_options: Any) -> Any:
        raise DeviceError("simulated bench", "the server was not ready within 30 s")

    monkeypatch.setattr(connect, "start_server", start)
    (row,) = check_devices(bench_of("simulated", "laser"))
    assert (row.what, row.ok) == ("simulated bench", False)


def test_the_example_bench_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANOLAB_BENCH", raising=False)
    rows, code = examine()
    assert [row for row in rows if not row.ok] == []
    assert code is ExitCode.OK
    assert {"laser", "thermocouple", "powermeter"} <= {row.what for row in rows}
    assert any(row.what == "laser" and "(simulated)" in row.detail for row in rows)


def test_a_missing_device_is_exit_code_4(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "find_bench", lambda _path: bench_of("COM3", "laser"))
    monkeypatch.setattr(doctor, "check_disk", lambda _data: HealthCheck("disk", True, ""))
    monkeypatch.setattr(connect, "load", lambda _group, _name: Driver)
    _, code = examine()
    assert code is ExitCode.DEVICE_SILENT
    assert int(code) == 4
