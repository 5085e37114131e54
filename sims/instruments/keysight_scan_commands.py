"""The commands that make a 34970A scan: scan list, monitor, trigger, and the readings that come of it."""

from math import inf
from typing import Any

from sims.instruments.keysight_channel_commands import ChannelCommands
from sims.instruments.keysight_channels import FULL_FORMAT, Reading, listed, refused
from sims.instruments.keysight_scan import Scanner
from sims.instruments.scpi import ScpiInstrument
from sims.instruments.scpi_tree import Answer, Pending, scpi
from sims.instruments.scpi_values import (
    ScpiError,
    definite_block,
    read_integer,
    read_limited,
    read_switch,
    read_word,
    signed_exponent,
)


class ScanCommands:
    """Scans of the instrument `box`; `read_takes_list` says whether ``READ?`` takes a channel list."""

    def __init__(
        self, box: ScpiInstrument, channels: ChannelCommands, scanner: Scanner, *, read_takes_list: bool
    ) -> None:
        self._box = box
        self._channels = channels
        self._scanner = scanner
        self._read_takes_list = read_takes_list
        self._monitored: int | None = None
        self._monitoring = False

    def preset(self) -> None:
        """Stop the scan and the monitor, and empty the memory."""
        self._abort()
        self._scanner.clear()
        self._monitoring = False

    @property
    def _credited(self) -> bool:
        return self._box.wall_s_per_lab_s == 0.0

    # --- scan list, monitor, trigger --------------------------------------------------------------------

    @scpi("ROUTe:SCAN")
    def _scan(self, channels: str) -> None:
        self._channels.choose_scan(channels)

    @scpi("ROUTe:SCAN?")
    def _scan_query(self) -> str:
        return definite_block(listed(self._scanner.channels))

    @scpi("ROUTe:SCAN:SIZE?")
    def _scan_size(self) -> str:
        return self._box.integer(len(self._scanner.channels))

    @scpi("ROUTe:MONitor")
    def _monitor(self, channels: str) -> None:
        found = self._channels.chosen(channels)
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
        return signed_exponent(self._scanner.measure(self._monitored, self._box.world.time_s).value)

    @scpi("TRIGger:SOURce")
    def _source(self, source: str) -> None:
        self._channels.idle()
        words = ("IMMediate", "TIMer", "BUS", "EXTernal", "ALARm1", "ALARm2", "ALARm3", "ALARm4")
        self._scanner.source = read_word(source, *words)
        self._scanner.clear()

    @scpi("TRIGger:SOURce?")
    def _source_query(self) -> str:
        return self._scanner.source

    @scpi("TRIGger:TIMer")
    def _timer(self, seconds: str) -> None:
        self._channels.idle()
        self._scanner.timer_s = round(read_limited(seconds, 0.0, 359999.0, 0.0), 3)
        self._scanner.clear()

    @scpi("TRIGger:TIMer?")
    def _timer_query(self) -> str:
        return signed_exponent(self._scanner.timer_s)

    @scpi("TRIGger:COUNt")
    def _count(self, count: str) -> None:
        self._channels.idle()
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
        self._scanner.trigger(self._box.world.time_s, self._credited)
        self._box.due_s = self._scanner.next_s

    @scpi("INITiate")
    def _initiate(self) -> None:
        scanner = self._scanner
        if scanner.scanning:
            raise ScpiError(-213)
        if not scanner.channels:
            raise refused(113)
        if any(self._channels.setups[channel].reference == "EXT" for channel in scanner.channels):
            raise refused(307)  # the reference would have to be an RTD on the first channel; there is none
        scanner.initiate(self._box.world.time_s, self._credited)
        self._box.due_s = scanner.next_s

    @scpi("ABORt")
    def _abort(self) -> None:
        self._scanner.abort()
        self._box.due_s = inf

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
        return ",".join(self._scanner.format.text(reading, start_s) for reading in readings)

    @scpi("READ?")
    def _read(self, channels: str | None = None) -> Answer:
        if channels is not None:
            if not self._read_takes_list:
                raise ScpiError(-108)
            self._scan(channels)
        if self._scanner.source == "BUS":
            raise ScpiError(-214)
        self._initiate()
        return self._fetch()

    @scpi("MEASure:TEMPerature?")
    def _measure_temperature(self, transducer: str, kind: str, *rest: str) -> Answer:
        self._channels.configure_thermocouple(transducer, kind, rest)
        return self._read()

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
        return self._box.integer(len(self._scanner.memory))

    @scpi("DATA:LAST?")
    def _last(self, channels: str | None = None) -> str:
        nothing = "+0.00000000E+00 VDC,0000,00,00,00,00,00.000,0,0"
        last = self._scanner.last
        texts = [
            FULL_FORMAT.text(last[channel], 0.0) if channel in last else nothing
            for channel in self._channels.chosen(channels)
        ]
        return ",".join(texts)

    # --- format of readings -----------------------------------------------------------------------------

    @scpi("FORMat:READing:UNIT")
    def _show_unit(self, state: str) -> None:
        self._scanner.format.unit = read_switch(state)

    @scpi("FORMat:READing:TIME")
    def _show_time(self, state: str) -> None:
        self._scanner.format.time = read_switch(state)

    @scpi("FORMat:READing:CHANnel")
    def _show_channel(self, state: str) -> None:
        self._scanner.format.channel = read_switch(state)

    @scpi("FORMat:READing:ALARm")
    def _show_alarm(self, state: str) -> None:
        self._scanner.format.alarm = read_switch(state)

    @scpi("FORMat:READing:TIME:TYPE")
    def _time_type(self, kind: str) -> None:
        self._scanner.format.absolute = read_word(kind, "RELative", "ABSolute") == "ABS"

    @scpi("FORMat:READing:UNIT?")
    def _shows_unit(self) -> str:
        return str(int(self._scanner.format.unit))

    @scpi("FORMat:READing:TIME?")
    def _shows_time(self) -> str:
        return str(int(self._scanner.format.time))

    @scpi("FORMat:READing:CHANnel?")
    def _shows_channel(self) -> str:
        return str(int(self._scanner.format.channel))

    @scpi("FORMat:READing:ALARm?")
    def _shows_alarm(self) -> str:
        return str(int(self._scanner.format.alarm))

    @scpi("FORMat:READing:TIME:TYPE?")
    def _time_type_query(self) -> str:
        return "ABS" if self._scanner.format.absolute else "REL"
