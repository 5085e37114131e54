"""Status, fault and error words of the Coherent OBIS in plain language."""

EMISSION = 0x2
READY = 0x4
CDRH_DELAY = 0x10
WARM_UP = 0x100
INTERLOCK = 0x0400_0000

STATUS = {
    0x1: "the laser reports a fault",
    0x20: "hardware fault",
    0x200_0000: "the controller is in standby: turn its key on",
    INTERLOCK: "the interlock is open. Close the interlock.",
    0x800_0000: "the controller is still looking for its lasers",
    0x1000_0000: "the controller has lost the laser",
    0x2000_0000: "the controller reports a fault",
}
"""Bits of the status word that keep the laser from emitting."""

FAULTS = {
    0x1: "base plate temperature",
    0x2: "diode temperature",
    0x4: "internal temperature",
    0x8: "electrical supply",
    0x10: "I2C error",
    0x20: "over-current",
    0x40: "checksum error",
    0x80: "checksum recovery",
    0x100: "buffer overflow",
    0x200: "warm-up limit",
    0x400: "TEC driver",
    0x800: "CCB error",
    0x1000: "diode temperature limit",
    0x2000: "laser not ready",
    0x4000: "photodiode",
    0x8000: "fatal fault",
    0x1_0000: "start-up",
    0x2_0000: "watchdog reset",
    0x4_0000: "field calibration",
    0x10_0000: "over-power",
    0x4000_0000: "checksum of the controller",
}
"""Bits of the fault word."""

CONTROLLER_WORD = 0x8000_0000
"""Marks a word as the controller's own; says nothing of its state."""

ERRORS = {
    -400: "the query is not available",
    -350: "its error queue has overflowed",
    -321: "it is out of memory",
    -310: "system error",
    -257: "file error",
    -256: "file error",
    -241: "no laser answers on this channel",
    -221: "settings conflict",
    -220: "bad parameter",
    -203: "command protected",
    -200: "execution error: it does not fit the present state",
    -109: "a parameter is missing",
    -102: "syntax error",
    -100: "unknown command",
    500: "CCB fault",
    510: "I2C fault",
    520: "the controller got no answer from the laser in time",
    900: "CCB timed out",
}
"""Numbers behind ERR; the last four are written with either sign."""


def trouble(status: int, faults: int) -> str:
    """Return what status and fault word say against emission, empty where nothing does."""
    words = [text for bit, text in STATUS.items() if status & bit]
    active = faults & ~CONTROLLER_WORD
    named = [text for bit, text in FAULTS.items() if active & bit]
    if active and not named:
        named = [f"unknown bits {active:08X}"]
    if named:
        words.append("fault: " + ", ".join(named))
    return "; ".join(words)


def error_words(code: int) -> str:
    """Return what an error number means."""
    return ERRORS.get(code) or ERRORS.get(-code) or "an error that this driver has no words for"
