"""TOML files to checked models: every mistake of a file is one line that names the file, the table and the key."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from nanolab.errors import FileInvalidError, nearest

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]

_NUMBER_ERRORS = {"float_type", "float_parsing", "int_type", "int_parsing", "int_from_float"}
_OWN_WORDS = {
    "string_type": "text is wanted, in quotes",
    "bool_type": "true or false is wanted",
    "bool_parsing": "true or false is wanted",
    "finite_number": "a finite number is wanted",
}


class Table(BaseModel):
    """One table of a file: unknown keys are errors, a change after reading is impossible."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass
class Source:
    """Where tables come from: what errors call it, and its text, in which lines are counted."""

    name: str
    text: str = ""
    problems: list[str] = field(default_factory=list)

    def add(self, place: Place, problem: str) -> None:
        """Note a mistake at a place such as ``("sample", "volume")``."""
        line = _line_of(self.text, place)
        where = self.name if line is None else f"{self.name}:{line}"
        self.problems.append(f"{where}: {_spelled(place)}{problem}")

    def raise_problems(self) -> None:
        """Raise FileInvalidError with all mistakes, one a line; nothing where there are none."""
        if self.problems:
            raise FileInvalidError("\n".join(self.problems))


def read_toml(path: Path, remedy: str) -> tuple[dict[str, Any], Source]:
    """Return the tables of a TOML file and the source for their errors.

    FileInvalidError where the file is missing (with `remedy`), unreadable, or no TOML (with the line).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise FileInvalidError(f"{path}: there is no such file; {remedy}") from error
    except UnicodeDecodeError as error:
        raise FileInvalidError(f"{path}: this is no UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise FileInvalidError(f"{path}: the file cannot be read ({error.strerror})") from error
    try:
        return tomllib.loads(text), Source(str(path), text)
    except tomllib.TOMLDecodeError as error:
        raise FileInvalidError(_syntax(path, str(error))) from error


def _syntax(path: Path, message: str) -> str:
    found = re.match(r"(.*) \(at line (\d+), column (\d+)\)$", message)
    hint = 'text and quantities stand in quotes, as in volume = "1.00 mL"'
    if found is None:
        return f"{path}: the file is no TOML: {message}; {hint}"
    words, line, column = found.groups()
    return f"{path}:{line}: the line is no TOML, column {column}: {words[0].lower()}{words[1:]}; {hint}"


def validate(model: type[Model], tables: object, source: Source, under: Place = ()) -> Model | None:
    """Check tables against a model; mistakes go to the source, and the answer is then None."""
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            place = (*under, *problem["loc"])
            source.add(place, _explained(model, problem, under))
        return None


def _explained(model: type[BaseModel], problem: Mapping[str, Any], under: Place) -> str:
    kind, given = problem["type"], problem.get("input")
    if kind == "extra_forbidden":
        return _unknown(model, problem["loc"], under)
    if kind == "missing":
        return "this key is missing" if len((*under, *problem["loc"])) > 1 else "this table is missing"
    if kind == "value_error":
        return str(problem["msg"]).removeprefix("Value error, ")
    if kind == "literal_error":
        allowed = [str(value) for value in _literal_values(model, problem["loc"])]
        return f"'{given}' is not possible here; {nearest(str(given), allowed)}"
    if kind in _NUMBER_ERRORS:
        whole = "whole " if kind.startswith("int") else ""
        return f"a {whole}number is wanted, not {given!r}"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return f"a table is wanted, not {given!r}"
    if kind in _OWN_WORDS:
        return f"{_OWN_WORDS[kind]}, not {given!r}"
    words = str(problem["msg"])
    return f"{words[0].lower()}{words[1:]} (here {given!r})"


def _unknown(model: type[BaseModel], loc: Place, under: Place) -> str:
    owner = _model_at(model, loc[:-1])
    known = [] if owner is None else list(owner.model_fields)
    word = "key" if len((*under, *loc)) > 1 else "table"
    name = str(loc[-1])
    elsewhere = [
        table
        for table, info in model.model_fields.items()
        for inner in _models_in(info.annotation)
        if name in inner.model_fields and inner is not owner
    ]
    if name not in known and elsewhere:
        return f"unknown {word}; it belongs under [{elsewhere[0]}]"
    return f"unknown {word}; {nearest(name, known)}" if known else f"unknown {word}"


def _model_at(model: type[BaseModel], loc: Iterable[str | int]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for part in loc:
        info = None if current is None else current.model_fields.get(str(part))
        current = None if info is None else next(iter(_models_in(info.annotation)), None)
    return current


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    candidates = (annotation, *get_args(annotation))
    return [item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)]


def _literal_values(model: type[BaseModel], loc: Place) -> list[Any]:
    owner = _model_at(model, loc[:-1])
    info = None if owner is None else owner.model_fields.get(str(loc[-1]))
    values: list[Any] = []
    pending = [] if info is None else [info.annotation]
    while pending:
        arguments = get_args(pending.pop())
        values += [item for item in arguments if isinstance(item, str | int)]
        pending += [item for item in arguments if not isinstance(item, str | int)]
    return values


def _spelled(place: Place) -> str:
    names = [str(part) for part in place]
    if len(names) > 1:
        return f"[{names[0]}] {'.'.join(names[1:])}: "
    return f"[{names[0]}]: " if names else ""


def _line_of(text: str, place: Place) -> int | None:
    """Find the line of a key (or of its table's heading where the key is not there); None where neither is."""
    if not text or not place:
        return None
    table, heading, here = str(place[0]), None, ""
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*\[\s*([^\]]+?)\s*\]", line):
            here = found[1]
            heading = number if here == table else heading
        elif found := re.match(r"""\s*["']?([\w-]+)["']?\s*=""", line):
            wanted = (table, str(place[1])) if len(place) > 1 else ("", table)
            if (here, found[1]) == wanted:
                return number
    return heading
