"""The folder of one run: its name, what lies in it, and how it begins with its start document inside."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from nanolab.journal.files import AppendFile, Calls, sync_folder, write_whole
from nanolab.journal.liveness import own_mark

DOCUMENTS = "docs.jsonl"
README = "README.txt"
WRITER = "writer.json"
"""There while a process writes to the folder; it says which."""

_MOST_NAMES = 1000
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")

README_TEXT = """\
One run of nanolab. This folder can be read without nanolab.
============================================================

docs.jsonl   one line a document, in the order in which they were made (Bluesky event model: start,
             descriptor, event, stop; https://blueskyproject.io/event-model):
                 {"n": 17, "crc": "89abcdef", "name": "event", "doc": {...}}
             n is the number of the line. crc is the CRC-32 of the line without its newline and without
             "crc": "89abcdef",  (and the space behind it).
             A last line without a newline was never finished: leave it out.
             No stop document: the run was interrupted, or is still going on.
*.raw        the arrays of one field of one stream, one behind the other, C order, little endian. Type and
             shape are in the descriptor: doc.data_keys.<field>.nanolab_raw = {"file", "dtype", "shape"}.
             An event refers to its array by number (from 0) and CRC-32: {"$raw": [index, "crc"]}.
writer.json  there while a process writes to this folder, or where it was killed.
All else (result.json, figure.svg, report.html, ...) is derived and can be made again.

What JSON cannot hold is written as an object with one key:
    {"$float": "nan"}              NaN, inf, -inf
    {"$tuple": [...]}              a tuple
    {"$bytes": "base64"}           bytes
    {"$scalar": [dtype, value]}    a numpy number
    {"$map": [[key, value], ...]}  a dict with other keys than text
    {"$array": {"dtype", "shape", "values" (flat, C order) or "base64"}}   numpy array

Python:
    import json, numpy
    records = [json.loads(line) for line in open("docs.jsonl") if line.endswith("\\n")]
    events = [r["doc"] for r in records if r["name"] == "event"]
    temperatures = [e["data"]["thermocouple_sample"] for e in events if "thermocouple_sample" in e["data"]]
    spectra = numpy.fromfile("spectra-spectrometer_counts.raw", "<f8").reshape(-1, 2136)
"""


def fit_name(text: str, longest: int = 60) -> str:
    """Return `text` with everything that some file system dislikes replaced, at most `longest` characters."""
    return _UNFIT.sub("_", text)[:longest].strip("._") or "unnamed"


def folder_names(start: Mapping[str, Any]) -> Iterator[str]:
    """Yield names for a run's folder, best first: ``HHMMSS-<plan>-<uid8>[-simulated]``, then numbered."""
    clock = datetime.fromtimestamp(float(start["time"])).strftime("%H%M%S")
    plan = fit_name(str(start.get("plan_name") or "run"), 40)
    simulated = "-simulated" if start.get("simulated") else ""
    name = f"{clock}-{plan}-{fit_name(str(start['uid']), 8)}{simulated}"
    yield name
    for number in range(2, _MOST_NAMES):
        yield f"{name}-{number}"


def create_folder(data_root: Path, start: Mapping[str, Any], first_line: bytes, calls: Calls) -> Path:
    """Make the folder of a run, its start document already in it and durable, and return its path.

    It is filled under a hidden name and then renamed: whoever finds a run folder finds a whole record in it,
    whenever this process is killed. OSError where the system does not have it.
    """
    day = data_root / datetime.fromtimestamp(float(start["time"])).strftime("%Y-%m-%d")
    day.mkdir(parents=True, exist_ok=True)
    hidden = day / f".opening-{fit_name(str(start['uid']))}"
    hidden.mkdir()
    try:
        write_whole(hidden / README, README_TEXT.encode("ascii"))
        mark = {"uid": str(start["uid"]), **own_mark()}
        write_whole(hidden / WRITER, json.dumps(mark, indent=1).encode("ascii"))
        documents = AppendFile(hidden / DOCUMENTS, calls)
        try:
            documents.append(first_line)
            documents.sync()
        finally:
            documents.close()
        folder = _rename(hidden, start)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)  # nothing in it was acknowledged
        raise
    for changed in (folder, day, data_root):
        sync_folder(changed)
    return folder


def _rename(hidden: Path, start: Mapping[str, Any]) -> Path:
    for name in folder_names(start):
        target = hidden.with_name(name)
        try:
            return hidden.rename(target)  # never onto a run: a folder that is not empty is not replaced
        except OSError:
            if not target.exists():  # else the name is taken: try the next
                raise
    raise FileExistsError(f"{_MOST_NAMES} runs of this second have the uid {start['uid']}")
