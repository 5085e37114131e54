"""The command tree of a SCPI instrument: headers as manuals print them, found as clients may write them."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sims.instruments.scpi_values import short_form

_PATTERN_NODE = re.compile(r"(\[)?:?([A-Za-z]+)(\[\d\]|\d|#)?:?(\])?")


@dataclass(frozen=True, slots=True)
class Pending:
    """An answer that is not there yet: `ask` returns it, or None while it still has to be waited for."""

    ask: Callable[[], str | None]


Answer = str | Pending | None
Method = TypeVar("Method", bound=Callable[..., Answer])


def scpi(*patterns: str) -> Callable[[Method], Method]:
    """Mark a method as the one that carries out these headers; a query ends in ``?``."""

    def mark(method: Method) -> Method:
        method.scpi_patterns = patterns  # type: ignore[attr-defined]  # a plain attribute on a function
        return method

    return mark


class Node:
    """One place in the command tree."""

    __slots__ = ("children", "command", "numbered", "query")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.numbered: dict[str, Node] = {}
        self.command: Entry | None = None
        self.query: Entry | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a header stands for: a method, what is always handed to it, how many parameters it takes."""

    method: str
    always: tuple[Any, ...]
    suffixes: int
    least: int
    most: float


@dataclass(frozen=True, slots=True)
class Unit:
    """One command of a message, ready to run: a bound method, or the error that it is."""

    method: Callable[..., Answer] | None
    arguments: tuple[Any, ...]
    error: int = 0


def add(root: Node, pattern: str, name: str, method: Callable[..., Answer], always: tuple[Any, ...] = ()) -> None:
    """Enter a pattern; the method `name` (``part.method`` for a part's) gets `always`, suffixes, parameters."""
    query = pattern.endswith("?")
    header = pattern.rstrip("?")
    common = header[0] == "*"
    nodes = [] if common else [match.groups()[:3] for match in _PATTERN_NODE.finditer(header)]
    captures = sum(node[2] == "#" for node in nodes)
    parameters = list(inspect.signature(method).parameters.values())[1 + len(always) + captures :]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    least = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in parameters)
    entry = Entry(name, always, captures, least, float("inf") if open_ended else len(parameters))
    for leaf in [root.children.setdefault(header.upper(), Node())] if common else _grow(root, nodes):
        if query:
            leaf.query = entry
        else:
            leaf.command = entry


def add_marked(root: Node, owner: type, place: str = "") -> None:
    """Enter the marked methods of a class; `place` is the attribute of the instrument that holds such an object."""
    for name in dir(owner):
        method = getattr(owner, name, None)
        for pattern in getattr(method, "scpi_patterns", ()):
            full_name = f"{place}.{name}" if place else name
            add(root, pattern, full_name, method)  # type: ignore[arg-type]  # marked: it is a method


def _grow(node: Node, specs: list[Any]) -> list[Node]:
    if not specs:
        return [node]
    optional, word, digits = specs[0]
    names = {word.upper(), short_form(word)}
    kind = node.numbered if digits == "#" else node.children
    if digits and digits != "#":
        digit = digits.strip("[]")
        names = {name + digit for name in names} | (names if digits[0] == "[" else set())
    child = next((kind[name] for name in sorted(names) if name in kind), None) or Node()
    for spelling in names:
        kind.setdefault(spelling, child)
    leaves = _grow(child, specs[1:])
    return leaves + _grow(node, specs[1:]) if optional else leaves


def find(node: Node, mnemonics: list[str]) -> tuple[Node, list[int]] | None:
    """Return the place of a header given in capitals, and its numeric suffixes; None where there is none."""
    suffixes: list[int] = []
    for mnemonic in mnemonics:
        child = node.children.get(mnemonic)
        if child is None:
            bare = mnemonic.rstrip("0123456789")
            child = node.numbered.get(bare)
            if child is None:
                return None
            suffixes.append(int(mnemonic[len(bare) :] or 1))
        node = child
    return node, suffixes
