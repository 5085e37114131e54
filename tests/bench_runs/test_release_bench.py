"""A bench with pump, cuvette holder and pH meter, as a user has it: served, examined, connected, and dosed on."""

import math
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import pytest
import serial
from bluesky.utils import Msg

from nanolab.bench.config import load_bench
from nanolab.bench.connect import open_bench
from nanolab.engine.assembly import Engine
from nanolab.simulation import Simulation
from plans.dispensing import dispense, pump_guard
from plans.thermostat import settle

BENCH = """
version = 1
[pump]
driver = "new_era_ne1000"
address = "simulated"
deadline = "10 s"
syringe_diameter = "8.66 mm"
syringe_volume = "3 mL"
syringe_content = "2.4 mL"
contents = "0.1 M HCl"
[cuvette_holder]
driver = "qnw_tc1"
address = "simulated"
deadline = "10 s"
probe = true
[ph]
driver = "atlas_ezo_ph"
address = "simulated"
deadline = "10 s"
temperature = "22.5 degC"
"""
SERVED = ("--instrument", "pump=new_era_ne1000", "--instrument", "cuvette_holder=qnw_tc1",
          "--instrument", "ph=atlas_ezo_ph")  # fmt: skip


@pytest.fixture
def bench_file(tmp_path: Path) -> Path:
    file = tmp_path / "bench.toml"
    file.write_text(BENCH, encoding="utf-8")
    return file


def test_serving_offers_tcp_and_a_pty_each(serve: Callable[..., Any]) -> None:
    ready = serve("--speed", "1", *SERVED).ready
    places = ready["instruments"]
    assert {role: place["driver"] for role, place in places.items()} == {
        "pump": "new_era_ne1000", "cuvette_holder": "qnw_tc1", "ph": "atlas_ezo_ph",
    }  # fmt: skip
    addresses = [f"socket://{places['cuvette_holder']['tcp']}"]
    if hasattr(os, "openpty"):
        assert all(places[role]["pty"] for role in ("pump", "cuvette_holder", "ph"))
        addresses.append(places["cuvette_holder"]["pty"])
    for address in addresses:
        with serial.serial_for_url(address, baudrate=19200, timeout=5.0) as port:
            port.write(b"[F1 ID ?]")
            assert port.read_until(b"]") == b"[F1 ID 14]"


def test_the_doctor_reports_all_of_them(nanolab: Callable[..., Any], bench_file: Path) -> None:
    done = nanolab("bench", "doctor", "--bench", bench_file, "--json")
    rows = {row["what"]: row for row in done.json["checks"]}
    assert [row for row in rows.values() if not row["ok"]] == []
    assert done.code == 0
    assert "NE1000" in rows["pump"]["detail"]
    assert "Quantum Northwest TC 1" in rows["cuvette_holder"]["detail"]
    assert "Atlas Scientific pH" in rows["ph"]["detail"]
    assert {"pump: syringe", "cuvette_holder: coolant", "ph: calibration"} <= rows.keys()


def test_the_world_is_printed_with_the_new_tables(nanolab: Callable[..., Any]) -> None:
    text = nanolab("sim", "world").out
    for table in ("[dosing]", "[buffer]", "[ph_electrode]", "[peltier_holder]"):
        assert table in text


def titrate(
    bench: Any, found: list[tuple[float, float]], *, soak_s: float = 600.0, doses: int = 4
) -> Generator[Msg, Any, Any]:
    """Bring the cuvette to 37 degC, tell the pH meter, and dose acid in steps, reading pH after each."""
    devices = bench.devices
    pump, holder, ph = devices["pump"], devices["cuvette_holder"], devices["ph"]
    every = [ph]

    @bpp.stage_decorator([pump, holder, ph])  # type: ignore[untyped-decorator]  # bluesky's own
    @bpp.run_decorator()  # type: ignore[untyped-decorator]  # as above
    def whole() -> Generator[Msg, Any, Any]:
        holder.stir(800).wait(5.0)
        yield from settle(holder, 37.0, bench.clock, soak_s=soak_s, devices=every)
        liquid = float((yield from bps.rd(holder.probe)))
        ph.compensate(liquid).wait(5.0)
        dosed = 0.0
        for _ in range(doses):
            dosed += yield from dispense(pump, 0.01, 0.2, bench.clock, devices=every)
            yield from bps.sleep(30.0)
            yield from bps.trigger(ph, wait=True)
            found.append((dosed, float((yield from bps.rd(ph.value)))))

    yield from pump_guard(whole(), pump)


@pytest.mark.slow
def test_a_titration_on_the_simulated_bench_follows_the_charge_balance(
    serve: Callable[..., Any], bench_file: Path
) -> None:
    server = serve("--speed", "max", "--seed", "5", *SERVED)
    truth = Simulation(server.ready["truth"])
    found: list[tuple[float, float]] = []
    documents: list[str] = []
    with open_bench(load_bench(bench_file), sim=server.control) as bench:
        outcome = Engine(bench.clock, lambda name, _doc: documents.append(name), lambda: None).run(
            titrate(bench, found)
        )
        assert outcome.error is None
        true = truth.call("truth")["truth"]
    after = truth.call("truth")["truth"]
    truth.close()
    assert found[-1][0] == pytest.approx(0.04, rel=0.01)
    # the syringe is 0.9 per cent wider than the pump believes
    assert true["dosing"]["dosed_ml"] == pytest.approx(0.04 * (8.70 / 8.66) ** 2, rel=0.01)
    # calibration of the meter and drift of its electrode: a few hundredths
    assert found[-1][1] == pytest.approx(true["ph"], abs=0.03)
    # phosphate at pKa 7.2 less 0.0028 per kelvin: Henderson and Hasselbalch with what the pump counted
    total = 0.99e-2
    base = total / (1.0 + 10.0 ** (7.2 - 7.4))
    for dosed, ph in found:
        acid = dosed * 0.1 * (8.70 / 8.66) ** 2
        expected = 7.2 - 0.0028 * 12.0 + math.log10((base - acid) / (total - base + acid))
        assert ph == pytest.approx(expected, abs=0.04)
    assert documents[0] == "start"
    assert documents[-1] == "stop"
    # leaving the bench makes it safe
    assert true["holder"]["heat_w"] != 0.0
    assert after["holder"]["stirring_rpm"] == 0.0
    assert after["dosing"]["plunger_mm_per_s"] == 0.0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_titration(bench_file: Path) -> None:
    def play() -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        with open_bench(load_bench(bench_file)) as bench:
            plan = titrate(bench, found, soak_s=20.0, doses=1)
            assert Engine(bench.clock, lambda _n, _d: None, lambda: None).run(plan).error is None
        return found

    assert play() == play()
