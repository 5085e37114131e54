"""What a New Era pump is told and says: commands, replies, alarms, numbers."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from devices.link import Link
from nanolab.errors import DeviceError, RefusedError

STATES = {
    "I": "infusing",
    "W": "withdrawing",
    "S": "stopped",
    "P": "paused",
    "T": "in a timed pause",
    "U": "waiting for a trigger",
    "X": "purging",
}
RUNNING = frozenset("IWX")

ALARMS = {
    "R": "its power was interrupted (alarm R)",
    "S": "its motor stalled (alarm S): the plunger is blocked, or the syringe is at its end",
    "T": "its watchdog stopped it (alarm T): nobody asked it anything for too long",
    "E": "its program has an error (alarm E)",
    "O": "its program ran past the last phase (alarm O)",
}

ERRORS = {
    "": "does not know this command",
    "NA": "cannot do this now",
    "OOR": "says that the value is out of its range (the rates it can pump go by the syringe's diameter)",
    "COM": "received a damaged packet",
    "IGN": "ignored this",
}

MOST_ALARMS = 3
"""So many alarms in a row are answered by asking again; an alarm takes the place of a reply."""

SECOND_ALARM_S = 0.1
"""Wall time after an alarm in which a second one, shouted or answered, has come."""

LOST_BY_ROUNDING = 0.005
"""Largest relative difference between what is asked for and what four digits can say."""

_REPLY = re.compile(r"(\d\d)(?:A\?(?P<alarm>[A-Z])|(?P<state>[IWSPTUX])(?P<data>.*))", re.ASCII)
_VALUE = re.compile(r"(\d{1,4}|\d{1,4}\.\d{0,3}|\.\d{1,3})([A-Z]*)", re.ASCII)
_DISPENSED = re.compile(r"I([\d.]+)W([\d.]+)(UL|ML)", re.ASCII)
ML_PER = {"UL": 1e-3, "ML": 1.0}
ML_PER_MIN_PER = {"MM": 1.0, "UM": 1e-3, "MH": 1.0 / 60.0, "UH": 1e-3 / 60.0}


@dataclass(frozen=True)
class Answer:
    """One reply: the letter of the state, the data, and the error after its question mark (None: none)."""

    state: str
    data: str
    error: str | None = None

    @property
    def running(self) -> bool:
        """Whether the plunger moves."""
        return self.state in RUNNING


class NewEraWire:
    """Asks one pump of a chain.

    Parameters
    ----------
    link : Link
        The line.
    name : str
        The device's name on the bench, for errors.
    address : int
        Address of the pump on its chain.
    alarmed : callable
        Told the letter of every alarm as it comes.
    """

    def __init__(self, link: Link, name: str, address: int, alarmed: Callable[[str], None]) -> None:
        self._link = link
        self._name = name
        self._address = address
        self._alarmed = alarmed

    def addressed(self, command: str) -> str:
        """Return the command with the pump's address."""
        return f"{self._address}{command}"

    def say(self, command: str, *, again: bool = True) -> Answer:
        """Send a command and return the reply, an error of the pump included.

        An alarm comes in the place of a reply, and the command is not carried out then: it is sent again, or, where it
        must not be (`again` False: RUN), DeviceError says what the alarm was.
        """
        sent = self.addressed(command)
        alarm = text = ""
        for _ in range(MOST_ALARMS):
            text = self._link.exchange(sent)
            match = _REPLY.fullmatch(text)
            if match is None or int(match[1]) != self._address:
                self._link.mistrust()
                raise DeviceError(self._name, "sent a reply that cannot be understood", sent=sent, received=text)
            if match["alarm"] is None:
                data = match["data"]
                return Answer(match["state"], data, data[1:] if data.startswith("?") else None)
            alarm = match["alarm"]
            # with a watchdog the pump also shouts its alarm of its own accord: what comes second then waits, and the link clears it
            time.sleep(SECOND_ALARM_S)
            self._alarmed(alarm)
            if not again:
                raise DeviceError(self._name, f"did not start: {alarm_words(alarm)}", sent=sent, received=text)
        raise DeviceError(self._name, f"{alarm_words(alarm)}, again and again", sent=sent, received=text)

    def ask(self, command: str, *, again: bool = True) -> Answer:
        """Send a command and return the reply; DeviceError in words where the pump reports an error."""
        answer = self.say(command, again=again)
        if answer.error is not None:
            words = ERRORS.get(answer.error, f"reports the error ?{answer.error}")
            raise DeviceError(self._name, words, sent=self.addressed(command), received=answer.data)
        return answer

    def value(self, command: str) -> tuple[float, str]:
        """Ask for a number and its unit (empty where it has none)."""
        answer = self.ask(command)
        match = _VALUE.fullmatch(answer.data)
        if match is None:
            raise DeviceError(self._name, "sent no number", sent=self.addressed(command), received=answer.data)
        return float(match[1]), match[2]

    def write(self, command: str, text: str, unit: str = "") -> None:
        """Write a number, and read back that it was taken; DeviceError where it was not."""
        self.ask(command + text + (unit if command != "VOL" else ""))
        value, has = self.value(command)
        if abs(value - float(text)) > 1e-9 or (unit and has != unit):
            raise DeviceError(
                self._name,
                f"did not take {text} {unit}".rstrip() + f", it has {value:g} {has}".rstrip(),
                sent=self.addressed(command + text + unit),
            )

    def dispensed(self) -> tuple[Answer, float, float]:
        """Return the state, and what was infused and withdrawn since the counters were cleared, mL."""
        answer = self.ask("DIS")
        match = _DISPENSED.fullmatch(answer.data)
        if match is None:
            raise DeviceError(self._name, "sent no volumes", sent=self.addressed("DIS"), received=answer.data)
        scale = ML_PER[match[3]]
        return answer, scale * float(match[1]), scale * float(match[2])


def alarm_words(letter: str) -> str:
    """Return an alarm in words."""
    return ALARMS.get(letter, f"it reports an alarm that is not known ({letter})")


def number(value: float) -> str:
    """Write a positive number as the pump takes it: four digits, at most three after the point, no exponent.

    RefusedError where this loses more than `LOST_BY_ROUNDING`.
    """
    text = ""
    for decimals in (3, 2, 1, 0):
        text = f"{value:.{decimals}f}"
        if len(text.replace(".", "")) <= 4:
            break
    if len(text.replace(".", "")) > 4 or abs(float(text) - value) > LOST_BY_ROUNDING * value:
        raise RefusedError(f"the pump has four digits: {value:g} cannot be written with them")
    return text


def volume_text(ml: float) -> tuple[str, str]:
    """Return a volume in mL as the pump's number and unit."""
    return (number(ml * 1e3), "UL") if ml < 1.0 else (number(ml), "ML")


def rate_text(ml_per_min: float) -> tuple[str, str]:
    """Return a rate in mL/min as the pump's number and unit."""
    if ml_per_min >= 1.0:
        return number(ml_per_min), "MM"
    if ml_per_min >= 1e-3:
        return number(ml_per_min * 1e3), "UM"
    return number(ml_per_min * 6e4), "UH"
