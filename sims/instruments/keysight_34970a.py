"""Keysight / Agilent 34970A (and 34972A) data acquisition unit with a 34901A in slot 1, over SCPI.

Channel 101 is the probe in the sample, 102 the one in the air, 103 the one in the holder; the others are
open. All probes are type K.

Deviations from hardware. The 34970A itself has GPIB and RS-232, the 34972A a raw socket on port 5025: here
both speak over TCP; the 34972A's control connection for device clear is played by the control port's
``clear``. At full speed a sweep takes no time (its time stamps say when it would have been over); otherwise it
takes the integration time and 5 ms a channel. Readings of a sweep are taken together at its end. Choices where
the manual leaves it open: an empty ``R?`` answers ``#10``; ``DATA:REM?`` of more than there is queues -222;
``CONF`` leaves the reference junction and the open-couple check as they are. Not simulated: RTD, thermistors,
resistance, AC, scaling, digital cards. Here are status, alarm outputs and system; channels are set up in
`keysight_channel_commands` and scanned in `keysight_scan_commands`.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sims.instruments.base import BenchWorld
from sims.instruments.keysight_channel_commands import ChannelCommands
from sims.instruments.keysight_channels import FULL_FORMAT, ChannelSetup, ReadingFormat, Slots, clock_text, refused
from sims.instruments.keysight_scan import Probes, Scanner
from sims.instruments.keysight_scan_commands import ScanCommands
from sims.instruments.scpi import SCPI_FAULTS, ScpiInstrument
from sims.instruments.scpi_status import ErrorQueue
from sims.instruments.scpi_tree import scpi
from sims.instruments.scpi_values import ScpiError, read_integer, read_switch, read_word, signed_exponent

DAQ_FAULTS: Mapping[str, str] = {
    **SCPI_FAULTS,
    "open_couple": "the couple in the sample has come off: 9.9E37 with the check on, a wandering input without",
    "reversed_couple": "the couple in the sample is connected the wrong way round: heating reads as cooling",
    "stuck_reading": "the channel of the sample repeats one reading for ever",
}

WIRING: Mapping[int, str] = {101: "sample", 102: "ambient", 103: "holder"}

_IDENTITIES = {
    "34970A": ("HEWLETT-PACKARD,34970A,0,13-2-2", 10),
    "34972A": ("Agilent Technologies,34972A,MY59000704,1.17-1.12-02-02", 20),
}
_CONFIGURATION_CHANGED, _SCANNING, _WAITING = 256, 16, 32
_TEMPERATURE_OVERLOAD, _MEMORY_OVERFLOW = 1024, 4096


class Keysight34970ASimulator(ScpiInstrument):
    """34970A.

    Parameters
    ----------
    model : str
        ``34970A`` (error queue of 10) or ``34972A`` (20, and ``READ?`` takes a channel list).
    wiring : mapping of int to str
        Which probe of the world is at which channel.
    block_c : float
        Temperature of the terminal block, degC.
    """

    driver = "keysight_34970a"
    role = "thermocouple"
    scpi_version = "1994.0"
    faults = DAQ_FAULTS
    parts: ClassVar[Mapping[str, type]] = {"_channels": ChannelCommands, "_scans": ScanCommands}
    status_groups: ClassVar[Mapping[str, str]] = {
        "STATus:OPERation": "operation",
        "STATus:QUEStionable": "questionable",
        "STATus:ALARm": "alarm",
    }

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        model: str = "34970A",
        wiring: Mapping[int, str] = WIRING,
        block_c: float = 23.5,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self._model = model
        self.identity, depth = _IDENTITIES[model]  # type: ignore[misc]  # one class plays two models
        self.errors = ErrorQueue(depth)
        slots = Slots()
        setups = {channel: ChannelSetup() for channel in slots.voltage}
        self._probes = Probes(world, rng, wiring, block_c)
        self._scanner = Scanner(self._probes, setups)
        self._channels = ChannelCommands(slots, setups, self._probes, self._scanner)
        self._scans = ScanCommands(self, self._channels, self._scanner, read_takes_list=model == "34972A")

    def integer(self, value: int) -> str:
        """Return a whole number with its sign, as this maker writes it."""
        return f"{value:+d}"

    def number(self, value: float) -> str:
        """Return a number with its sign, as this maker writes it."""
        return signed_exponent(value)

    # --- alarm outputs ----------------------------------------------------------------------------------

    @scpi("OUTPut:ALARm#:CLEar")
    def _alarm_clear(self, line: int) -> None:
        self._scanner.clear_alarm_line(line)

    @scpi("OUTPut:ALARm:CLEar:ALL")
    def _alarm_clear_all(self) -> None:
        for line in range(1, 5):
            self._scanner.clear_alarm_line(line)

    @scpi("OUTPut:ALARm:MODE")
    def _alarm_mode(self, mode: str) -> None:
        self._scanner.latching = read_word(mode, "LATCh", "TRACk") == "LATC"

    @scpi("OUTPut:ALARm:MODE?")
    def _alarm_mode_query(self) -> str:
        return "LATC" if self._scanner.latching else "TRAC"

    @scpi("SYSTem:ALARm?")
    def _alarm_queue(self) -> str:
        if not self._scanner.alarms:
            return "+0.00000000E+00 VDC,0000,00,00,00,00,00.000,0,0,0"
        reading = self._scanner.alarms.popleft()
        return f"{FULL_FORMAT.text(reading, 0.0)},{self._channels.setups[reading.channel].alarm_line}"

    # --- status and time --------------------------------------------------------------------------------

    def condition(self, group: str) -> int:
        """Return a condition register (bit 16 of operation: scanning; 256: configuration changed)."""
        scanner = self._scanner
        if group == "operation":
            word = _CONFIGURATION_CHANGED if self._channels.changed else 0
            word |= _SCANNING if scanner.scanning else 0
            return word | (_WAITING if scanner.waits_for_trigger else 0)
        if group == "questionable":
            return _MEMORY_OVERFLOW if scanner.overflowed else 0
        lines = sum(1 << (line - 1) for line in scanner.alarm_lines)
        return lines | (16 if scanner.alarms else 0)

    def message_done(self) -> None:
        """Latch overloads and alarms, also those that are over again, and follow the other registers."""
        if self._scanner.overloaded:
            self._scanner.overloaded = False
            self.groups["questionable"].latch(_TEMPERATURE_OVERLOAD)
        if self._scanner.alarm_events:
            self.groups["alarm"].latch(self._scanner.alarm_events)
            self._scanner.alarm_events = 0
        super().message_done()

    def status_byte(self) -> int:
        """Return the status byte: 2 alarm, 8 questionable, 32 ESR, 128 operation."""
        groups = self.groups
        byte = (2 if groups["alarm"].summary else 0) | (8 if groups["questionable"].summary else 0)
        byte |= (32 if self.events() & self.event_enable else 0) | (128 if groups["operation"].summary else 0)
        return byte

    def tick(self) -> None:
        """Carry out the sweeps that have come due."""
        scanner = self._scanner
        if scanner.scanning:
            scanner.run(self.world.time_s, self.wall_s_per_lab_s == 0.0)
            self.message_done()
        self.due_s = scanner.next_s

    def fault_changed(self, name: str, on: bool) -> None:
        """Hand faults of the couple on to the terminals."""
        super().fault_changed(name, on)
        self._probes.faults = self.active & {"open_couple", "reversed_couple", "stuck_reading"}
        if name == "stuck_reading":
            self._probes.let_go()

    def reset(self) -> None:
        """Carry out `*RST`: volts on all channels, reference fixed at 0 degC, no scan list; errors stay."""
        super().reset()
        self._preset()
        self._scanner.channels = []
        self._scanner.reset_trigger()
        self._scanner.format = ReadingFormat()
        self._channels.reset()

    # --- system -----------------------------------------------------------------------------------------

    @scpi("SYSTem:PRESet")
    def _preset(self) -> None:
        self._scans.preset()
        self._channels.changed = False

    @scpi("SYSTem:CTYPe?")
    def _card(self, slot: str) -> str:
        number = read_integer(slot, 100, 300, 100)
        if number % 100:
            raise refused(111)
        return "HEWLETT-PACKARD,34901A,0,2.3" if number == 100 else "HEWLETT-PACKARD,0,0,0"

    @scpi("INSTrument:DMM[:STATe]?")
    def _meter(self) -> str:
        return "1"

    @scpi("INSTrument:DMM[:STATe]")
    def _meter_state(self, state: str) -> None:
        self._channels.idle()
        if not read_switch(state):
            raise ScpiError(-221)  # without its meter this unit would have nothing to say

    @scpi("SYSTem:TIME:SCAN?")
    def _scan_time(self) -> str:
        return clock_text(self._scanner.start_s)

    @scpi("SYSTem:DATE?")
    def _date(self) -> str:
        return clock_text(self.world.time_s)[:10]

    @scpi("SYSTem:TIME?")
    def _time(self) -> str:
        return clock_text(self.world.time_s)[11:]

    @scpi("SYSTem:REMote", "SYSTem:LOCal", "SYSTem:RWLock", "SYSTem:BEEPer[:IMMediate]")
    def _front_panel(self) -> None:
        return

    @scpi("SYSTem:INTerface")
    def _interface(self, name: str) -> None:
        read_word(name, "GPIB", "RS232")

    @scpi("SYSTem:COMMunicate:LAN:CONTrol?")
    def _control_port(self) -> str:
        if self._model != "34972A":
            raise ScpiError(-113)
        return self.integer(0)  # no control connection here: the server's control port has `clear`
