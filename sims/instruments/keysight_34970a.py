"""Keysight / Agilent 34970A (and 34972A) data acquisition unit with a 34901A in slot 1, over SCPI.

Channel 101 is the probe in the sample, 102 the one in the air, 103 the one in the holder; the others are
open. All probes are type K.

Deviations from hardware. The 34970A itself has GPIB and RS-232, the 34972A a raw socket on port 5025: here
both speak over TCP; the 34972A's control connection for device clear is played by the control port's
``clear``. At full speed a sweep takes no time (its time stamps say when it would have been over); otherwise it
takes the integration time and 5 ms a channel. Readings of a sweep are taken together at its end. Choices where
the manual leaves it open: an empty ``R?`` answers ``#10``; ``DATA:REM?`` of more than there is queues -222;
``CONF`` leaves the reference junction and the open-couple check as they are. Not simulated: RTD, thermistors,
resistance, AC, scaling, digital cards. The file is longer than others: it is the command table of one
instrument, kept together; what the commands act on is in `keysight_channels` and `keysight_scan`.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, ClassVar

import numpy as np

from sims.instruments.base import BenchWorld
from sims.instruments.keysight_channels import (
    FULL_FORMAT,
    NPLC_NOISE_K,
    ChannelSetup,
    Reading,
    ReadingFormat,
    Slots,
    clock_text,
    listed,
    nearest_nplc,
    refused,
)
from sims.instruments.keysight_scan import Probes, Scanner
from sims.instruments.scpi import SCPI_FAULTS, ScpiInstrument
from sims.instruments.scpi_status import ErrorQueue
from sims.instruments.scpi_tree import Answer, Pending, scpi
from sims.instruments.scpi_values import (
    ScpiError,
    definite_block,
    extreme,
    read_integer,
    read_limited,
    read_switch,
    read_word,
    signed_exponent,
)

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
_TYPES = ("B", "E", "J", "K", "N", "R", "S", "T")
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
        self._slots = Slots()
        self._setups = {channel: ChannelSetup() for channel in self._slots.voltage}
        self._probes = Probes(world, rng, wiring, block_c)
        self._scanner = Scanner(self._probes, self._setups)
        self._format = ReadingFormat()
        self._monitored: int | None = None
        self._monitoring = False
        self._changed = False

    # --- channels and their settings --------------------------------------------------------------------

    def integer(self, value: int) -> str:
        """Return a whole number with its sign, as this maker writes it."""
        return f"{value:+d}"

    def number(self, value: float) -> str:
        """Return a number with its sign, as this maker writes it."""
        return signed_exponent(value)

    @property
    def _credited(self) -> bool:
        return self.wall_s_per_lab_s == 0.0

    def _idle(self) -> None:
        if self._scanner.scanning:
            raise refused(261)

    def _channels(self, text: str | None) -> list[int]:
        if text is None:
            return self._scanner.channels
        channels = self._slots.channels(text)
        if not channels:
            raise refused(309)
        return channels

    def _set(self, name: str, value: Any, channels: str | None) -> None:
        self._idle()
        for channel in self._channels(channels):
            setattr(self._setups[channel], name, value)
        self._scanner.clear()
        self._changed = True

    def _told(self, name: str, channels: str | None, text: Callable[[Any], str]) -> str:
        return ",".join(text(getattr(self._setups[channel], name)) for channel in self._channels(channels))

    def _configure(self, channels: str, temperature: bool, kind: str = "J") -> None:
        self._idle()
        found = self._channels(channels)
        for channel in found:
            self._setups[channel].configure(temperature, kind)
        self._scanner.channels = found
        self._scanner.reset_trigger()
        self._scanner.clear()
        self._format = ReadingFormat()
        self._changed = True

    def _configure_thermocouple(self, transducer: str, kind: str, rest: tuple[str, ...]) -> None:
        try:
            read_word(transducer, "TCouple", "TC")
        except ScpiError:
            raise refused(251) from None
        if not rest:
            raise ScpiError(-109)
        *numbers, channels = rest
        if numbers and extreme(numbers[0], 1.0, 1.0, 1.0) is None and numbers[0] != "1":
            raise ScpiError(-224)
        self._configure(channels, True, read_word(kind, *_TYPES))

    @scpi("CONFigure:TEMPerature")
    def _configure_temperature(self, transducer: str, kind: str, *rest: str) -> None:
        self._configure_thermocouple(transducer, kind, rest)

    @scpi("CONFigure:VOLTage[:DC]")
    def _configure_volts(self, *rest: str) -> None:
        if not rest:
            raise ScpiError(-109)
        self._configure(rest[-1], False)

    @scpi("CONFigure?")
    def _configured(self, channels: str | None = None) -> str:
        def text(channel: int) -> str:
            setup = self._setups[channel]
            if setup.temperature:
                return f'"TEMP TC,{setup.kind},+1.000000E+00,+1.000000E-01"'
            return '"VOLT +1.000000E+01,+3.000000E-05"'

        return ",".join(text(channel) for channel in self._channels(channels))

    @scpi("MEASure:TEMPerature?")
    def _measure_temperature(self, transducer: str, kind: str, *rest: str) -> Answer:
        self._configure_thermocouple(transducer, kind, rest)
        return self._read()

    @scpi("[SENSe:]TEMPerature:TRANsducer:TCouple:TYPE")
    def _type(self, kind: str, channels: str | None = None) -> None:
        self._set("kind", read_word(kind, *_TYPES), channels)

    @scpi("[SENSe:]TEMPerature:TRANsducer:TCouple:TYPE?")
    def _type_query(self, channels: str | None = None) -> str:
        return self._told("kind", channels, str)

    @scpi("[SENSe:]TEMPerature:TRANsducer:TCouple:RJUNction:TYPE")
    def _reference(self, kind: str, channels: str | None = None) -> None:
        self._set("reference", read_word(kind, "INTernal", "EXTernal", "FIXed"), channels)

    @scpi("[SENSe:]TEMPerature:TRANsducer:TCouple:RJUNction:TYPE?")
    def _reference_query(self, channels: str | None = None) -> str:
        return self._told("reference", channels, str)

    @scpi("[SENSe:]TEMPerature:TRANsducer:TCouple:RJUNction")
    def _fixed(self, celsius: str, channels: str | None = None) -> None:
        self._set("fixed_c", read_limited(celsius, -20.0, 80.0, 0.0), channels)

    @scpi("[SENSe:]TEMPerature:TRANsducer:TCouple:RJUNction?")
    def _fixed_query(self, channels: str | None = None) -> str:
        return self._told("fixed_c", channels, signed_exponent)

    @scpi("[SENSe:]TEMPerature:RJUNction?")
    def _block(self, channels: str | None = None) -> str:
        return ",".join(signed_exponent(self._probes.block_c()) for _ in self._channels(channels))

    @scpi("[SENSe:]TEMPerature:TRANsducer:TCouple:CHECk")
    def _check(self, state: str, channels: str | None = None) -> None:
        self._set("check", read_switch(state), channels)

    @scpi("[SENSe:]TEMPerature:TRANsducer:TCouple:CHECk?")
    def _check_query(self, channels: str | None = None) -> str:
        return self._told("check", channels, lambda on: str(int(on)))

    @scpi("[SENSe:]TEMPerature:NPLC", "[SENSe:]VOLTage[:DC]:NPLC")
    def _nplc(self, cycles: str, channels: str | None = None) -> None:
        wanted = read_limited(cycles, 0.02, 200.0, 1.0)
        self._set("nplc", next(setting for setting in NPLC_NOISE_K if wanted <= setting), channels)

    @scpi("[SENSe:]TEMPerature:NPLC?", "[SENSe:]VOLTage[:DC]:NPLC?")
    def _nplc_query(self, channels: str | None = None) -> str:
        return self._told("nplc", channels, signed_exponent)

    @scpi("[SENSe:]TEMPerature:APERture")
    def _aperture(self, seconds: str, channels: str | None = None) -> None:
        self._set("nplc", nearest_nplc(read_limited(seconds, 400e-6, 4.0, 0.02)), channels)

    @scpi("UNIT:TEMPerature")
    def _temperature_unit(self, unit: str, channels: str | None = None) -> None:
        self._set("unit", read_word(unit, "C", "F", "K"), channels)

    @scpi("UNIT:TEMPerature?")
    def _temperature_unit_query(self, channels: str | None = None) -> str:
        return self._told("unit", channels, str)

    @scpi("ROUTe:CHANnel:DELay")
    def _delay(self, seconds: str, channels: str | None = None) -> None:
        self._set("delay_s", read_limited(seconds, 0.0, 60.0, 0.0), channels)
        self._set("auto_delay", False, channels)

    @scpi("ROUTe:CHANnel:DELay?")
    def _delay_query(self, channels: str | None = None) -> str:
        return self._told("delay_s", channels, signed_exponent)

    @scpi("ROUTe:CHANnel:DELay:AUTO")
    def _auto_delay(self, state: str, channels: str | None = None) -> None:
        self._set("auto_delay", read_switch(state), channels)

    @scpi("ROUTe:CHANnel:DELay:AUTO?")
    def _auto_delay_query(self, channels: str | None = None) -> str:
        return self._told("auto_delay", channels, lambda on: str(int(on)))

    # --- scan list, monitor, trigger --------------------------------------------------------------------

    @scpi("ROUTe:SCAN")
    def _scan(self, channels: str) -> None:
        self._idle()
        self._scanner.channels = self._slots.channels(channels)
        self._scanner.clear()
        self._changed = True

    @scpi("ROUTe:SCAN?")
    def _scan_query(self) -> str:
        return definite_block(listed(self._scanner.channels))

    @scpi("ROUTe:SCAN:SIZE?")
    def _scan_size(self) -> str:
        return self.integer(len(self._scanner.channels))

    @scpi("ROUTe:MONitor")
    def _monitor(self, channels: str) -> None:
        found = self._channels(channels)
        if len(found) > 1:
            raise refused(281)
        self._monitored = found[0]

    @scpi("ROUTe:MONitor?")
    def _monitor_query(self) -> str:
        return definite_block(listed([] if self._monitored is None else [self._monitored]))

    @scpi("ROUTe:MONitor:STATe")
    def _monitor_state(self, state: str) -> None:
        wanted = read_switch(state)
        if wanted and self._monitored is None:
            raise ScpiError(-221)
        self._monitoring = wanted

    @scpi("ROUTe:MONitor:STATe?")
    def _monitor_state_query(self) -> str:
        return str(int(self._monitoring))

    @scpi("ROUTe:MONitor:DATA?")
    def _monitor_data(self) -> str:
        if not self._monitoring or self._monitored is None:
            raise ScpiError(-221)
        return signed_exponent(self._scanner.measure(self._monitored, self.world.time_s).value)

    @scpi("TRIGger:SOURce")
    def _source(self, source: str) -> None:
        self._idle()
        words = ("IMMediate", "TIMer", "BUS", "EXTernal", "ALARm1", "ALARm2", "ALARm3", "ALARm4")
        self._scanner.source = read_word(source, *words)
        self._scanner.clear()

    @scpi("TRIGger:SOURce?")
    def _source_query(self) -> str:
        return self._scanner.source

    @scpi("TRIGger:TIMer")
    def _timer(self, seconds: str) -> None:
        self._idle()
        self._scanner.timer_s = round(read_limited(seconds, 0.0, 359999.0, 0.0), 3)
        self._scanner.clear()

    @scpi("TRIGger:TIMer?")
    def _timer_query(self) -> str:
        return signed_exponent(self._scanner.timer_s)

    @scpi("TRIGger:COUNt")
    def _count(self, count: str) -> None:
        self._idle()
        endless = count.upper() in {"INF", "INFINITY"}
        self._scanner.count = inf if endless else float(read_integer(count, 1, 50000, 1))
        self._scanner.clear()

    @scpi("TRIGger:COUNt?")
    def _count_query(self) -> str:
        count = self._scanner.count
        return "9.90000200E+37" if count == inf else signed_exponent(count)

    @scpi("*TRG")
    def _bus_trigger(self) -> None:
        if not self._scanner.scanning or self._scanner.source != "BUS":
            raise ScpiError(-211, "Trigger ignored")
        self._scanner.trigger(self.world.time_s, self._credited)
        self.due_s = self._scanner.next_s

    @scpi("INITiate")
    def _initiate(self) -> None:
        scanner = self._scanner
        if scanner.scanning:
            raise ScpiError(-213)
        if not scanner.channels:
            raise refused(113)
        if any(self._setups[channel].reference == "EXT" for channel in scanner.channels):
            raise refused(307)  # the reference would have to be an RTD on the first channel; there is none
        scanner.initiate(self.world.time_s, self._credited)
        self.due_s = scanner.next_s

    @scpi("ABORt")
    def _abort(self) -> None:
        self._scanner.abort()
        self.due_s = inf

    # --- readings ---------------------------------------------------------------------------------------

    @scpi("FETCh?")
    def _fetch(self) -> Answer:
        return Pending(self._fetched) if self._scanner.scanning else self._fetched()

    def _fetched(self) -> str | None:
        scanner = self._scanner
        if scanner.scanning:
            return None
        if not scanner.memory:
            raise ScpiError(-230)
        return self._texts(scanner.memory)

    def _texts(self, readings: Any) -> str:
        start_s = self._scanner.start_s
        return ",".join(self._format.text(reading, start_s) for reading in readings)

    @scpi("READ?")
    def _read(self, channels: str | None = None) -> Answer:
        if channels is not None:
            if self._model != "34972A":
                raise ScpiError(-108)
            self._scan(channels)
        if self._scanner.source == "BUS":
            raise ScpiError(-214)
        self._initiate()
        return self._fetch()

    def _taken(self, count: int) -> list[Reading]:
        memory = self._scanner.memory
        return [memory.popleft() for _ in range(min(count, len(memory)))]

    @scpi("R?")
    def _read_and_erase(self, count: str | None = None) -> str:
        most = len(self._scanner.memory) if count is None else read_integer(count, 1, 50000, 50000)
        return definite_block(self._texts(self._taken(most)))

    @scpi("DATA:REMove?")
    def _remove(self, count: str) -> str:
        wanted = read_integer(count, 1, 50000, 1)
        if wanted > len(self._scanner.memory):
            raise ScpiError(-222)
        return self._texts(self._taken(wanted))

    @scpi("DATA:POINts?")
    def _points(self) -> str:
        return self.integer(len(self._scanner.memory))

    @scpi("DATA:LAST?")
    def _last(self, channels: str | None = None) -> str:
        nothing = "+0.00000000E+00 VDC,0000,00,00,00,00,00.000,0,0"
        last = self._scanner.last
        texts = [
            FULL_FORMAT.text(last[channel], 0.0) if channel in last else nothing for channel in self._channels(channels)
        ]
        return ",".join(texts)

    @scpi("FORMat:READing:UNIT")
    def _show_unit(self, state: str) -> None:
        self._format.unit = read_switch(state)

    @scpi("FORMat:READing:TIME")
    def _show_time(self, state: str) -> None:
        self._format.time = read_switch(state)

    @scpi("FORMat:READing:CHANnel")
    def _show_channel(self, state: str) -> None:
        self._format.channel = read_switch(state)

    @scpi("FORMat:READing:ALARm")
    def _show_alarm(self, state: str) -> None:
        self._format.alarm = read_switch(state)

    @scpi("FORMat:READing:TIME:TYPE")
    def _time_type(self, kind: str) -> None:
        self._format.absolute = read_word(kind, "RELative", "ABSolute") == "ABS"

    @scpi("FORMat:READing:UNIT?")
    def _shows_unit(self) -> str:
        return str(int(self._format.unit))

    @scpi("FORMat:READing:TIME?")
    def _shows_time(self) -> str:
        return str(int(self._format.time))

    @scpi("FORMat:READing:CHANnel?")
    def _shows_channel(self) -> str:
        return str(int(self._format.channel))

    @scpi("FORMat:READing:ALARm?")
    def _shows_alarm(self) -> str:
        return str(int(self._format.alarm))

    @scpi("FORMat:READing:TIME:TYPE?")
    def _time_type_query(self) -> str:
        return "ABS" if self._format.absolute else "REL"

    # --- limits and alarms ------------------------------------------------------------------------------

    @scpi("CALCulate:LIMit:UPPer")
    def _upper(self, value: str, channels: str | None = None) -> None:
        self._set("upper", read_limited(value, -1e15, 1e15, 0.0), channels)

    @scpi("CALCulate:LIMit:UPPer?")
    def _upper_query(self, channels: str | None = None) -> str:
        return self._told("upper", channels, signed_exponent)

    @scpi("CALCulate:LIMit:UPPer:STATe")
    def _upper_state(self, state: str, channels: str | None = None) -> None:
        self._set("upper_on", read_switch(state), channels)

    @scpi("CALCulate:LIMit:UPPer:STATe?")
    def _upper_state_query(self, channels: str | None = None) -> str:
        return self._told("upper_on", channels, lambda on: str(int(on)))

    @scpi("CALCulate:LIMit:LOWer")
    def _lower(self, value: str, channels: str | None = None) -> None:
        self._set("lower", read_limited(value, -1e15, 1e15, 0.0), channels)

    @scpi("CALCulate:LIMit:LOWer?")
    def _lower_query(self, channels: str | None = None) -> str:
        return self._told("lower", channels, signed_exponent)

    @scpi("CALCulate:LIMit:LOWer:STATe")
    def _lower_state(self, state: str, channels: str | None = None) -> None:
        self._set("lower_on", read_switch(state), channels)

    @scpi("CALCulate:LIMit:LOWer:STATe?")
    def _lower_state_query(self, channels: str | None = None) -> str:
        return self._told("lower_on", channels, lambda on: str(int(on)))

    @scpi("OUTPut:ALARm#:SOURce")
    def _alarm_source(self, line: int, channels: str) -> None:
        if not 1 <= line <= 4:
            raise ScpiError(-113)
        self._set("alarm_line", line, channels)

    @scpi("OUTPut:ALARm#:SOURce?")
    def _alarm_source_query(self, line: int) -> str:
        found = [channel for channel, setup in self._setups.items() if setup.alarm_line == line]
        return definite_block(listed(found))

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
        return f"{FULL_FORMAT.text(reading, 0.0)},{self._setups[reading.channel].alarm_line}"

    # --- status, system ---------------------------------------------------------------------------------

    def condition(self, group: str) -> int:
        """Return a condition register (bit 16 of operation: scanning; 256: configuration changed)."""
        scanner = self._scanner
        if group == "operation":
            word = _CONFIGURATION_CHANGED if self._changed else 0
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
            scanner.run(self.world.time_s, self._credited)
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
        for channel in self._setups:
            self._setups[channel] = ChannelSetup()
        self._format = ReadingFormat()

    @scpi("SYSTem:PRESet")
    def _preset(self) -> None:
        self._scanner.abort()
        self._scanner.clear()
        self._monitoring = False
        self._changed = False
        self.due_s = inf

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
        self._idle()
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
