"""The commands that set up the channels of a 34970A: what each measures, how, in which unit, and its limits."""

from collections.abc import Callable
from typing import Any

from sims.instruments.keysight_channels import (
    NPLC_NOISE_K,
    ChannelSetup,
    ReadingFormat,
    Slots,
    listed,
    nearest_nplc,
    refused,
)
from sims.instruments.keysight_scan import Probes, Scanner
from sims.instruments.scpi_tree import scpi
from sims.instruments.scpi_values import (
    ScpiError,
    definite_block,
    extreme,
    read_limited,
    read_switch,
    read_word,
    signed_exponent,
)

_TYPES = ("B", "E", "J", "K", "N", "R", "S", "T")


class ChannelCommands:
    """Settings of the channels, by number in ``setups``; ``changed`` tells that one is new since the last preset."""

    def __init__(self, slots: Slots, setups: dict[int, ChannelSetup], probes: Probes, scanner: Scanner) -> None:
        self._slots = slots
        self.setups = setups
        self._probes = probes
        self._scanner = scanner
        self.changed = False

    def reset(self) -> None:
        """Set all channels as after `*RST`."""
        for channel in self.setups:
            self.setups[channel] = ChannelSetup()

    def idle(self) -> None:
        """Refuse with 261 what cannot be done during a scan."""
        if self._scanner.scanning:
            raise refused(261)

    def chosen(self, text: str | None) -> list[int]:
        """Return the channels of a list; without a list those of the scan list."""
        if text is None:
            return self._scanner.channels
        channels = self._slots.channels(text)
        if not channels:
            raise refused(309)
        return channels

    def choose_scan(self, channels: str) -> None:
        """Take a new scan list, which may be empty."""
        self.idle()
        self._scanner.channels = self._slots.channels(channels)
        self._scanner.clear()
        self.changed = True

    def _set(self, name: str, value: Any, channels: str | None) -> None:
        self.idle()
        for channel in self.chosen(channels):
            setattr(self.setups[channel], name, value)
        self._scanner.clear()
        self.changed = True

    def _told(self, name: str, channels: str | None, text: Callable[[Any], str]) -> str:
        return ",".join(text(getattr(self.setups[channel], name)) for channel in self.chosen(channels))

    # --- what is measured -------------------------------------------------------------------------------

    def _configure(self, channels: str, temperature: bool, kind: str = "J") -> None:
        self.idle()
        found = self.chosen(channels)
        for channel in found:
            self.setups[channel].configure(temperature, kind)
        self._scanner.channels = found
        self._scanner.reset_trigger()
        self._scanner.clear()
        self._scanner.format = ReadingFormat()
        self.changed = True

    def configure_thermocouple(self, transducer: str, kind: str, rest: tuple[str, ...]) -> None:
        """Carry out CONFigure:TEMPerature; the last parameter is the channel list."""
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
        self.configure_thermocouple(transducer, kind, rest)

    @scpi("CONFigure:VOLTage[:DC]")
    def _configure_volts(self, *rest: str) -> None:
        if not rest:
            raise ScpiError(-109)
        self._configure(rest[-1], False)

    @scpi("CONFigure?")
    def _configured(self, channels: str | None = None) -> str:
        def text(channel: int) -> str:
            setup = self.setups[channel]
            if setup.temperature:
                return f'"TEMP TC,{setup.kind},+1.000000E+00,+1.000000E-01"'
            return '"VOLT +1.000000E+01,+3.000000E-05"'

        return ",".join(text(channel) for channel in self.chosen(channels))

    # --- thermocouple, integration, unit, delay ---------------------------------------------------------

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
        return ",".join(signed_exponent(self._probes.block_c()) for _ in self.chosen(channels))

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

    # --- limits and their alarm lines -------------------------------------------------------------------

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
        found = [channel for channel, setup in self.setups.items() if setup.alarm_line == line]
        return definite_block(listed(found))
