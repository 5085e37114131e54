"""The protections of a Thorlabs 4000-series controller: what stops the laser by itself, and how it is told."""

from sims.instruments.itc4000_channels import LaserChannel, TecChannel
from sims.instruments.scpi import ScpiInstrument
from sims.instruments.scpi_tree import scpi

_NO_EMISSION = {"interlock_open", "key_off", "over_temperature", "temperature_sensor_open", "power_off"}


class Protection:
    """Protections of the instrument `box`.

    Its trips last until the output is switched or the instrument reset, the compliance's also no longer than its fault.

    Parameters
    ----------
    window_k : float
        The laser trips when its temperature leaves the set one by more than this, once it had been there, K.
    """

    def __init__(self, box: ScpiInstrument, laser: LaserChannel, tec: TecChannel, window_k: float) -> None:
        self._box = box
        self._laser = laser
        self._tec = tec
        self._window_k = window_k
        self.compliance_tripped = False
        self.window_tripped = False

    def forget(self) -> None:
        """Take the trips back."""
        self.compliance_tripped = self.window_tripped = False

    def watch_tec(self) -> None:
        """Stop the laser when its temperature control fails or its temperature leaves the window."""
        tec = self._tec
        if self._box.active & {"tec_failure", "temperature_sensor_open"}:
            tec.on = tec.settled = False
            if self._laser.on:
                self.window_tripped = True
                self._laser.on = False
            return
        distance = abs(tec.temperature_c - tec.set_c)
        if distance < 0.5:
            tec.settled = True
        elif tec.settled and distance > self._window_k and self._laser.on:
            self.window_tripped = True
            self._laser.on = False

    def forbidden(self) -> bool:
        """Return whether something that cannot be talked over keeps the laser off."""
        if self._box.active & _NO_EMISSION:
            return True
        return "ld_enable_low" in self._box.active and self._box.values["enable"] == "PROT"

    def protect(self) -> None:
        """Stop the laser where it is forbidden, or where the compliance voltage trips."""
        laser = self._laser
        if self.forbidden():
            laser.on = False
            laser.flowing_a = 0.0
        elif laser.on and "diode_open" in self._box.active and laser.asked_a(self._box.values["mode"]) > 0.0:
            self.compliance_tripped = True
            laser.on = False

    def condition(self) -> int:
        """Return the condition register of the measurement group."""
        active = self._box.active
        tripped = self.window_tripped
        outside = self._tec.on and abs(self._tec.temperature_c - self._tec.set_c) > self._window_k
        word = 2 if self.compliance_tripped else 0
        word |= 32 if self._box.values["mode"] == "POW" and self._laser.loop_a >= self._laser.limit_a else 0
        word |= (256 if tripped else 0) | (512 if outside else 0)
        if active:
            word |= (1 if "key_off" in active else 0) | (4 if "interlock_open" in active else 0)
            word |= 16 if "ld_enable_low" in active and self._box.values["enable"] != "OFF" else 0
            word |= 1024 if "temperature_sensor_open" in active else 0
            word |= 2048 | 4096 if "tec_failure" in active else 0
            word |= 16384 if "over_temperature" in active else 0
        return word

    @scpi("OUTPut[1]:PROTection:VOLTage:TRIPped?")
    def _voltage_trip(self) -> str:
        return "1" if self.compliance_tripped else "0"

    @scpi("OUTPut[1]:PROTection:INTernal:TRIPped?")
    def _window_trip(self) -> str:
        return "1" if self.window_tripped else "0"

    @scpi("OUTPut[1]:PROTection:EXTernal:TRIPped?")
    def _enable_trip(self) -> str:
        return "1" if "ld_enable_low" in self._box.active and self._box.values["enable"] == "PROT" else "0"

    @scpi("OUTPut[1]:PROTection:INTLock:TRIPped?")
    def _interlock_trip(self) -> str:
        return "1" if "interlock_open" in self._box.active else "0"

    @scpi("OUTPut[1]:PROTection:KEYLock:TRIPped?")
    def _key_trip(self) -> str:
        return "1" if "key_off" in self._box.active else "0"

    @scpi("OUTPut[1]:PROTection:OTEMperature:TRIPped?")
    def _overheat_trip(self) -> str:
        return "1" if "over_temperature" in self._box.active else "0"
