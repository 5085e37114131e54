"""What is said to a Thorlabs ITC4000 and how its answers are checked; everything here runs in the link's worker."""

from collections.abc import Callable, Sequence

from devices.itc4000_settings import ITC4001Settings
from devices.itc4000_words import LASER_ON, PREVENTS_EMISSION, TEC_ON, Look, remedy, words
from devices.laser import LOOK_EVERY_S
from devices.scpi import ReportedError, Scpi
from nanolab.errors import DeviceError, RefusedError

READ_BACK_SHARE = 1e-3
"""A read-back may differ by this share of full scale: the resolution of the controller."""

OFF = "OUTP1 OFF;:SOUR:CURR 0"
"""OUTP1 OFF comes first: were the message cut short, this is the part that counts."""

QUERIES = ("OUTP1?", "STAT:OPER:COND?", "STAT:MEAS:COND?", "MEAS:CURR1?", "MEAS:TEMP?")


class ITC4000Wire:
    """The wire side of the laser driver: currents in A, temperatures in degC.

    DeviceError where the instrument misbehaves, RefusedError where its protections forbid emission. Keeps
    `devices.laser.LaserWire`.
    """

    off_line = OFF

    def __init__(self, scpi: Scpi, settings: ITC4001Settings) -> None:
        self.scpi = scpi
        self.settings = settings
        self.tolerance_a = READ_BACK_SHARE * settings.full_scale_a

    def prepare(self, power_w: float) -> None:
        """Write limit, mode, temperature and the diode current for this power in W; each is read back."""
        self.prepare_emission()
        self._write_checked("SOUR:CURR", self.settings.current_for(power_w))

    def protections(self) -> str:
        """Return what the measurement condition word says, empty where nothing is active."""
        return words(self.look().condition)

    def refuse_protected(self, look: Look) -> None:
        """Raise RefusedError where a protection is active that forbids emission."""
        active = look.condition & PREVENTS_EMISSION
        if active:
            raise RefusedError(f"{self.scpi.name}: emission is refused: {words(active)}. {remedy(active)}".rstrip())

    def _parse(self, fields: Sequence[str]) -> Look:
        scpi = self.scpi
        return Look(
            scpi.switch(fields[0], "OUTP1?"),
            scpi.word(fields[1], "STAT:OPER:COND?"),
            scpi.word(fields[2], "STAT:MEAS:COND?"),
            scpi.measured(fields[3], "MEAS:CURR1?"),
            scpi.measured(fields[4], "MEAS:TEMP?"),
            self.settings.dark_current_a,
        )

    def look(self) -> Look:
        """Return what the controller reports; any entry of its error queue is a DeviceError."""
        return self._parse(self.scpi.ask(*QUERIES))

    def say_off(self) -> tuple[Look, str]:
        """Send off and return what the controller reports then, and what its error queue said, if anything."""
        message = ";:".join((OFF, *QUERIES, "SYST:ERR?"))
        reply = self.scpi.link.exchange(message)
        fields = self.scpi.fields(reply, len(QUERIES) + 1, message)
        entry = fields.pop()
        return self._parse(fields), "" if entry.startswith(("+0,", "0,")) else f"the error queue said {entry}"

    def prepare_emission(self) -> None:
        """Write the current limit, make sure of constant current, start the TEC and look at its temperature."""
        settings = self.settings
        self._write_checked("SOUR:CURR:LIM", settings.current_limit.value)
        mode, shape, modulation, output = self.scpi.ask("SOUR:FUNC:MODE?", "SOUR:FUNC:SHAP?", "SOUR:AM:STAT?", "OUTP1?")
        if (mode.strip(), shape.strip(), modulation.strip()) != ("CURR", "DC", "0"):
            if self.scpi.switch(output, "OUTP1?"):
                raise DeviceError(self.scpi.name, f"emits in mode {mode} {shape}, not with constant current")
            self.scpi.ask("SOUR:FUNC:MODE CURR", "SOUR:FUNC:SHAP DC", "SOUR:AM:STAT 0")
        temperature = self.start_tec()
        distance = abs(temperature - settings.tec_temperature.value)
        if not distance <= settings.tec_tolerance.value:
            raise RefusedError(
                f"{self.scpi.name}: emission is refused: the diode is at {temperature:.1f} degC, "
                f"{settings.tec_temperature} is wanted; the TEC is on: wait until it has settled"
            )

    def start_tec(self) -> float:
        """Set the diode's temperature and start the TEC, read back; return the temperature now in degC."""
        wanted = self.settings.tec_temperature.value
        setpoint, output, operation, now = self.scpi.ask(
            f"SOUR2:TEMP {wanted:.3f}", "OUTP2 ON", "SOUR2:TEMP?", "OUTP2?", "STAT:OPER:COND?", "MEAS:TEMP?"
        )
        if abs(self.scpi.number(setpoint, "SOUR2:TEMP?") - wanted) > 0.02:
            raise DeviceError(
                self.scpi.name, f"the TEC was set to {wanted:g} degC and says {setpoint}", sent="SOUR2:TEMP?"
            )
        if not (self.scpi.switch(output, "OUTP2?") and self.scpi.word(operation, "STAT:OPER:COND?") & TEC_ON):
            raise DeviceError(
                self.scpi.name,
                "the TEC does not start",
                sent="OUTP2 ON",
                received=output,
                remedy="Check its cable and limits.",
            )
        return self.scpi.measured(now, "MEAS:TEMP?")

    def _write_checked(self, header: str, value: float) -> None:
        (back,) = self.scpi.ask(f"{header} {value:.5f}", f"{header}?")
        if abs(self.scpi.number(back, f"{header}?") - value) > self.tolerance_a:
            raise DeviceError(
                self.scpi.name,
                f"did not take {value:.5f} A",
                sent=f"{header} {value:.5f}",
                received=back,
                remedy="Compare current_limit in bench.toml with the limits set at the controller.",
            )

    def switch_on(self, give_way: Callable[[], None]) -> None:
        """Turn the output on and see it on; `give_way` raises where off has been asked for in the meantime."""
        try:
            output, operation = self.scpi.ask("OUTP1 ON", "OUTP1?", "STAT:OPER:COND?")
            for _look in range(4):
                if self.scpi.switch(output, "OUTP1?") and self.scpi.word(operation, "STAT:OPER:COND?") & LASER_ON:
                    return
                self.scpi.link.rest(LOOK_EVERY_S)
                give_way()
                output, operation = self.scpi.ask("OUTP1?", "STAT:OPER:COND?")
        except ReportedError:
            # often it means an interlock that has just opened: say that
            self.refuse_protected(self.look())
            raise
        self.refuse_protected(self.look())
        raise DeviceError(
            self.scpi.name,
            "was told to emit, and its read-back does not say so",
            sent="OUTP1 ON",
            received=f"OUTP1? {output}, STAT:OPER:COND? {operation}",
        )
