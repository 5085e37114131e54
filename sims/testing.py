"""Helpers to test simulated instruments without physics: a world that shows what it is told to show, a server to call."""

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sims.server import SimulationServer


@contextlib.contextmanager
def serving(server: "SimulationServer") -> Iterator["SimulationServer"]:
    """Serve in a thread of its own for as long as the block lasts, then close everything."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            server.step(0.02)

    thread = threading.Thread(target=serve, name="served-in-a-test")
    thread.start()
    try:
        yield server
    finally:
        over.set()
        thread.join()
        server.close()


class StillWorld:
    """A world in which nothing moves but time: readings are attributes, and what is done to it is recorded."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.temperatures_c: dict[str, float] = {"sample": 36.564, "ambient": 22.5, "holder": 25.0}
        self.noises_k: list[float] = []
        self.meter_power_w = 0.02
        self.meter_position: Any = "pickoff"
        self.meter_wavelengths_nm: list[float] = []
        self.diode: list[tuple[float, float, float]] = []
        """(lab time s, current A, case temperature degC), one entry a call of `set_diode`."""
        self.gate_closed = True
        self.shutter_open = True
        self.slope_w_per_a = 0.9
        self.threshold_a = 0.3
        self.cuvette = "sample"
        self.plunger: list[tuple[float, float, float]] = []
        """(lab time s, speed mm/s, lost share), one entry a call of `set_plunger`."""
        self.travel_left_mm = 40.0
        self.peltier = False
        self.holder_heat_w = 0.0
        self.stirring_rpm = 0.0
        self.lamp = False
        self.added: list[str] = []
        self.withdrawn: list[tuple[float, bool]] = []
        self.holder_c = (25.0, 24.9, 30.0)
        self.electrode_mv: float | None = -23.664
        """The voltage of an ideal electrode at pH 7.4 and 25 degC."""

    def advance_to(self, time_s: float) -> None:
        """Let time pass. ValueError backwards."""
        if time_s < self.time_s:
            raise ValueError(f"lab time cannot go back from {self.time_s:g} s to {time_s:g} s")
        self.time_s = time_s

    def load(self, cuvette: str) -> None:
        """Put a cuvette into the holder."""
        self.cuvette = cuvette

    def set_diode(self, current_a: float, case_temperature_c: float) -> None:
        """Record the current in the diode."""
        self.diode.append((self.time_s, current_a, case_temperature_c))

    def set_gate(self, closed: bool) -> None:
        """Note whether the contact in the laser's interlock loop is closed."""
        self.gate_closed = closed

    def set_shutter(self, is_open: bool) -> None:
        """Note whether the shutter is open."""
        self.shutter_open = is_open

    @property
    def current_a(self) -> float:
        """Current that flows now, A."""
        return self.diode[-1][1] if self.diode and self.gate_closed else 0.0

    def photodiode_power_w(self) -> float:
        """Return the light of an ideal diode laser, W."""
        return self.slope_w_per_a * max(0.0, self.current_a - self.threshold_a)

    def diode_current_for(self, power_w: float) -> float:
        """Return the current of an ideal diode laser of 2 W. ValueError beyond."""
        if not 0.0 <= power_w <= 2.0:
            raise ValueError(f"{power_w:g} W: this laser gives between 0 and 2 W")
        return self.threshold_a + power_w / self.slope_w_per_a if power_w > 0.0 else 0.0

    def diode_voltage_v(self) -> float:
        """Return the voltage of an ideal diode, V."""
        return 1.5 + 0.1 * self.current_a

    def read_temperature(self, probe: str, noise_k: float) -> float:
        """Return the temperature of a probe, degC; the noise asked for is recorded, not added."""
        self.noises_k.append(noise_k)
        return self.temperatures_c[probe]

    def read_meter_power(self, wavelength_nm: float) -> float:
        """Return the power at the meter, W."""
        self.meter_wavelengths_nm.append(wavelength_nm)
        return self.meter_power_w

    def add(self, what: Any) -> None:
        """Note what was pipetted in."""
        self.added.append(str(what))

    def withdraw(self, ml: float, replace: bool = True) -> None:
        """Note what was withdrawn. ValueError where it is nothing."""
        if ml <= 0.0:
            raise ValueError(f"an aliquot of {ml:g} mL cannot be withdrawn: it must be above 0")
        self.withdrawn.append((ml, replace))

    def set_lamp(self, on: bool) -> None:
        """Note whether the assay light is on."""
        self.lamp = on

    def read_counts(self, integration_s: float, lamp_on: bool, averages: int = 1) -> npt.NDArray[np.float64]:
        """Return a dark spectrum, shape (2136,)."""
        return np.zeros(2136)

    def set_plunger(self, mm_per_s: float, lost_share: float = 0.0) -> None:
        """Record the speed of the plunger; the syringe's end does not come nearer by it."""
        self.plunger.append((self.time_s, mm_per_s, lost_share))

    def plunger_travel_left_mm(self) -> float:
        """Return how far the plunger can go, mm."""
        return self.travel_left_mm

    def fit_peltier_holder(self) -> None:
        """Note that there is a Peltier holder."""
        self.peltier = True

    def set_holder_heat(self, power_w: float) -> None:
        """Record the heat, W."""
        self.holder_heat_w = power_w

    def set_stirring(self, rpm: float) -> None:
        """Record the speed."""
        self.stirring_rpm = rpm

    def read_holder(self) -> tuple[float, float, float]:
        """Return block, probe and exchanger, degC."""
        return self.holder_c

    def fit_electrode(self) -> None:
        """Nothing to do: there is always one."""

    def read_electrode_mv(self) -> float | None:
        """Return the electrode's voltage, mV, or None."""
        return self.electrode_mv

    def truth(self) -> dict[str, Any]:
        """Return what little is true here."""
        return {"laser": {"emitting": self.current_a > 0.0}, "cuvette": self.cuvette}
