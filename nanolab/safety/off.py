"""Turn a laser off by its recipe and see it off: the same procedure in the guardian, in the run and in `nanolab laser off`.

Off is sent before anything is read. Then the line is drained (an old ``0`` in a buffer must not pass for an answer), then
every read-back of the recipe is asked. A round of answers counts only if nothing came in it that was not asked for.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import select
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nanolab.safety.ports import CONNECT_S, Port, open_port
from nanolab.safety.recipe import OffCheck, OffRecipe

QUIET_S = 0.02
"""The line is taken for drained when nothing has come for so long; twice that where an answer was owed."""

DRAIN_WITHIN_S = 0.25
"""An instrument that babbles on is asked all the same after this."""

AFTER_ROUND_S = 0.01
"""How long the line must stay quiet behind the last answer of a round that is to count."""

ANSWER_WITHIN_S = 0.3
"""Wall time for one answer."""

LOOK_EVERY_S = 0.05
"""Wall time between two rounds."""

POLL_S = 0.002
"""Where a port cannot be waited on it is asked so often."""

Wait = Callable[[Port, float], None]
"""Wait until the port has something, or until a moment of `time.monotonic()`; other work may be done meanwhile."""


@dataclass(frozen=True)
class CheckSeen:
    """One read-back: what was asked, what came (None: nothing), whether it says off."""

    ask: str
    answer: str | None
    off: bool

    def words(self) -> str:
        """Say it in a few words."""
        return f"{self.ask} {self.answer if self.answer is not None else '(no answer)'}"


@dataclass(frozen=True)
class OffSeen:
    """What came of going off. Times are wall time in ms; ``sent_monotonic_s`` is None where nothing could be sent."""

    confirmed: bool
    why: str
    detail: str
    by_hand: str
    reaction_ms: float | None
    confirm_ms: float
    sent_monotonic_s: float | None
    checks: tuple[CheckSeen, ...]
    device: str

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


class LaserLine:
    """A recipe and the one connection to its instrument."""

    def __init__(self, recipe: OffRecipe) -> None:
        self.recipe = recipe
        self.port: Port | None = None
        self._arrived = b""
        self._answered_s = 0.0
        self._write = recipe.line.write.encode("ascii")
        self._read = recipe.line.read.encode("ascii")

    def open(self) -> None:
        """Give up the connection there is and open one new one; ConnectionError."""
        self.close()
        self.port = open_port(self.recipe.address, self.recipe.line)

    def close(self) -> None:
        """Close the connection, if there is one."""
        port, self.port, self._arrived = self.port, None, b""
        if port is not None:
            port.close()

    def say(self, text: str, *, urgent: bool = False) -> None:
        """Send one command, which may bring its terminator; ConnectionError."""
        self.held().send(text.encode("ascii").removesuffix(self._write) + self._write, urgent=urgent)

    def lines(self) -> list[str]:
        """Return the whole lines that have arrived; ConnectionError."""
        port = self.held()
        port.flush()
        *whole, self._arrived = (self._arrived + port.receive()).split(self._read)
        if whole:
            self._answered_s = time.monotonic()
        return [line.decode("ascii", "backslashreplace").strip() for line in whole]

    def drop_half(self) -> bool:
        """Forget the piece of a line that has arrived (junk, or a prompt); return whether there was one."""
        piece, self._arrived = self._arrived, b""
        return bool(piece)

    def may_speak_s(self) -> float:
        """Return the moment from which the instrument may be spoken to again."""
        return self._answered_s + self.recipe.line.pause_s

    def held(self) -> Port:
        """Return the open connection; ConnectionError where there is none."""
        if self.port is None:
            raise ConnectionError("there is no connection to the laser")
        return self.port


def wait_on(port: Port, until_s: float) -> None:
    """Wait until the port has something, or until this moment, and do nothing else."""
    left = max(0.0, until_s - time.monotonic())
    descriptor = port.fileno()
    if descriptor is None:
        time.sleep(min(POLL_S, left))
    else:
        select.select([descriptor], [descriptor] if port.owes else [], [], left)


@dataclass
class _Search:
    """The state of one way to off."""

    line: LaserLine
    wait: Wait
    checks: tuple[CheckSeen, ...] = ()
    problem: str = ""
    sent_s: float | None = None
    heard: bool = False
    unasked: bool = False

    # ---- sending

    def tell(self, *, first: bool, flush: bool) -> None:
        """Send the junk that ends a half-sent command, where one may be there, and all steps, before anything is read."""
        recipe = self.line.recipe
        words = [step.send for step in recipe.steps if step.unless is None]
        if flush and recipe.flush:
            self.line.say(recipe.flush, urgent=first)
            self._rest(recipe.line.pause_s)
        for number, text in enumerate(words):
            if number:
                self._rest(recipe.line.pause_s)
            self.line.say(text, urgent=first and not number and not flush)
            if self.sent_s is None:
                self.sent_s = time.monotonic()

    def toggle(self) -> None:
        """Send what only toggles where it is not off yet: asked first, and never sent on a question without an answer."""
        for step in self.line.recipe.steps:
            if step.unless is None:
                continue
            seen = self.ask(step.unless)
            if seen.answer is not None and not seen.off:
                self.line.say(step.send)
                self._listen(time.monotonic() + ANSWER_WITHIN_S, step.reply)

    # ---- reading

    def drain(self, *, owed: bool, replies: int = 0) -> None:
        """Read until so many replies have come and the line is quiet, or `DRAIN_WITHIN_S` is over."""
        limit = time.monotonic() + DRAIN_WITHIN_S
        quiet = 2 * QUIET_S if owed else QUIET_S
        came = 0
        while (now := time.monotonic()) < limit:
            until = limit if came < replies else min(limit, now + quiet)
            lines = self._listen(until, 1)
            came += len(lines)
            if not lines and not self.line.drop_half():
                return

    def ask(self, check: OffCheck) -> CheckSeen:
        """Ask one read-back."""
        self._rest(self.line.may_speak_s() - time.monotonic())
        self.unasked = bool(self.line.lines()) or self.unasked
        self.line.drop_half()
        self.line.say(check.ask)
        lines = self._listen(time.monotonic() + ANSWER_WITHIN_S, check.lines)
        if len(lines) < check.lines:
            return CheckSeen(check.ask, None, False)
        self.unasked = len(lines) > check.lines or self.unasked
        answer = lines[check.reply]
        return CheckSeen(check.ask, answer, check.says_off(answer))

    def round(self) -> bool:
        """Ask every read-back once; True if all say off and nothing came that was not asked for."""
        # written one after the other, so that what was seen is kept where the connection breaks on the way
        self.checks, self.unasked = (), False
        for check in self.line.recipe.checks:
            self.checks += (self.ask(check),)
        self.heard = self.heard or any(seen.answer is not None for seen in self.checks)
        unasked = bool(self._listen(time.monotonic() + AFTER_ROUND_S, 1)) or self.unasked
        self.problem = "it sends what was not asked for" if unasked else ""
        return not unasked and all(seen.off for seen in self.checks)

    def _listen(self, until_s: float, count: int) -> list[str]:
        """Return what arrives until `count` lines are there or the time is up."""
        lines = self.line.lines()
        over = False
        while len(lines) < count and not over:
            # looked at before the last reading: what came while this process had to wait for its turn is seen
            over = time.monotonic() >= until_s
            if not over:
                self.wait(self.line.held(), until_s)
            lines += self.line.lines()
        return lines

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            limit = time.monotonic() + seconds
            while (left := limit - time.monotonic()) > 0:
                time.sleep(left)


def go_off(
    line: LaserLine,
    why: str,
    *,
    wait: Wait = wait_on,
    noticed_s: float | None = None,
    owed: bool = False,
    whole: bool = False,
) -> OffSeen:
    """Turn the laser off and look until every read-back says off, or ``confirm_within_s`` is over. Never raises.

    A connection that breaks, or on which nothing at all is heard for half that time, is given up once for ONE new
    connection, on which everything is done again; that one is kept whatever comes (an instrument may hold on to dead
    connections, and every retry would become another one).

    Parameters
    ----------
    line : LaserLine
        Open or not.
    why : str
        What made it necessary, for the report.
    wait : callable
        See `Wait`.
    noticed_s : float or None
        Moment (monotonic) at which the reason was noticed; the reaction time counts from it. None: now.
    owed : bool
        Whether an answer to somebody else's question may still be under way.
    whole : bool
        Whether only whole lines can have gone to the laser on this connection: off is then the first thing that is sent.
    """
    began = time.monotonic() if noticed_s is None else noticed_s
    search = _Search(line, wait)
    fresh = line.port is None
    confirmed = False
    for again in (False, True):
        try:
            if again or line.port is None:
                line.open()
            flush = again or fresh or not whole
            search.tell(first=True, flush=flush)
            confirmed = _look(search, may_give_up=not (fresh or again), owed=owed, flushed=flush)
            if confirmed or search.heard or fresh:
                break
        except Exception as error:  # noqa: BLE001 - whatever it is, there is one more way to try
            search.problem = str(error)
            line.close()
    return _seen(search, why, began, confirmed)


def _look(search: _Search, *, may_give_up: bool, owed: bool, flushed: bool) -> bool:
    recipe = search.line.recipe
    began = time.monotonic()
    limit = began + recipe.confirm_within_s
    replies = recipe.flush_reply * bool(recipe.flush and flushed)
    steps = sum(step.reply for step in recipe.steps if step.unless is None)
    while True:
        search.drain(owed=owed, replies=replies + steps)
        search.toggle()
        if search.round():
            return True
        now = time.monotonic()
        if now >= limit or (may_give_up and not search.heard and now >= began + 0.5 * recipe.confirm_within_s):
            return False
        search.wait(search.line.held(), min(limit, now + LOOK_EVERY_S))
        # a command may have been swallowed; off may be said as often as one likes
        search.tell(first=False, flush=False)
        replies = 0


def _seen(search: _Search, why: str, began_s: float, confirmed: bool) -> OffSeen:
    recipe = search.line.recipe
    parts = [seen.words() for seen in search.checks] + [search.problem] * bool(search.problem and not confirmed)
    if search.sent_s is None:
        parts.append("nothing could be sent to it")
    by_hand = recipe.by_hand.removeprefix("OFF NOT CONFIRMED.").strip()
    return OffSeen(
        confirmed,
        why,
        "; ".join(parts),
        "" if confirmed else by_hand,
        None if search.sent_s is None else round(1e3 * (search.sent_s - began_s), 3),
        round(1e3 * (time.monotonic() - began_s), 3),
        search.sent_s,
        search.checks,
        recipe.device,
    )


def probe(line: LaserLine, *, wait: Wait = wait_on) -> tuple[CheckSeen, ...]:
    """Ask every read-back once without sending off, after draining the line; ConnectionError."""
    search = _Search(line, wait)
    search.drain(owed=False)
    search.round()
    return search.checks


def make_safe(recipes: Sequence[OffRecipe], why: str, *, wait: Wait = wait_on) -> list[dict[str, Any]]:
    """Bring heaters and pumps to rest, each on a connection of its own; return what came of it. Never raises."""
    seen = []
    for recipe in recipes:
        line = LaserLine(recipe)
        seen.append(go_off(line, why, wait=wait).as_dict())
        line.close()
    return seen


def longest_s(recipe: OffRecipe, others: Sequence[OffRecipe] = ()) -> float:
    """Return an upper bound, in wall seconds, of going off and making the others safe."""
    one = sum(
        2 * (CONNECT_S + DRAIN_WITHIN_S + ANSWER_WITHIN_S * len(each.checks) + each.line.pause_s * len(each.checks))
        + 2 * each.confirm_within_s
        for each in (recipe, *others)
    )
    return one + 0.5
