"""`nanolab.startup` in an interpreter of its own: devices, plans and a RunEngine ready, everything closed at the end."""

import subprocess
import sys
from pathlib import Path

from nanolab.journal import find_runs

SCRIPT = """
from nanolab.startup import *
uids = RE(photothermal(laser, thermocouple, None, powermeter, cuvette, clock=clock, limits=limits,
                       baseline_s=10, heat_s=20, cool_s=10))
print(len(uids), sorted(devices), laser.off().confirmed)
"""


def test_a_script_can_run_a_plan_with_what_startup_offers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(
        "1 ['addition', 'aliquot', 'cuvette', 'laser', 'powermeter', 'spectrometer', 'thermocouple'] True"
    )
    assert [run.status for run in find_runs(tmp_path / "runs")] == ["finished"]
    assert "NOT CONFIRMED" not in done.stderr
