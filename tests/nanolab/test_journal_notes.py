"""Notes: a file of their own, whole lines, the journal untouched."""

import os
import time
from pathlib import Path

import pytest

from nanolab.errors import FileInvalidError, JournalError, UsageError
from nanolab.journal import RunWriter
from nanolab.journal.folder import DOCUMENTS
from nanolab.journal.notes import NOTES, Note, add_note, read_notes


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder."""
    with RunWriter(tmp_path) as writer:
        writer("start", {"uid": "u1", "time": time.time()})
        return Path(str(writer.path))


def test_notes_are_kept_in_order_of_time_and_the_journal_is_untouched(run: Path) -> None:
    before = (run / DOCUMENTS).read_bytes()
    add_note(run, "  bubble\nat the wall ", "ab", time_s=20.0)
    add_note(run, "stirrer on: µ", time_s=10.0)
    assert read_notes(run) == [Note(10.0, "", "stirrer on: µ"), Note(20.0, "ab", "bubble at the wall")]
    assert (run / DOCUMENTS).read_bytes() == before
    assert abs(add_note(run, "now").time - time.time()) < 60.0


def test_a_broken_line_hides_no_other(run: Path) -> None:
    add_note(run, "first")
    with (run / NOTES).open("ab") as stream:
        stream.write(b'rubbish\n[]\n{"time": 1}\n')
    add_note(run, "second")
    with (run / NOTES).open("ab") as stream:
        stream.write(b'{"time": 1, "author": "", "te')  # killed in the middle of it
    add_note(run, "third")
    assert [note.text for note in read_notes(run)] == ["first", "second", "third"]


def test_what_is_no_note_or_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty"):
        add_note(run, " \n ")
    with pytest.raises(UsageError, match="2001 characters"):
        add_note(run, "x" * 2001)
    with pytest.raises(FileInvalidError):
        add_note(tmp_path / "none", "x")
    assert read_notes(tmp_path / "none") == []
    (run / NOTES).mkdir()
    with pytest.raises(JournalError, match="could not be written"):
        add_note(run, "x")


def test_a_note_that_was_not_written_whole_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:5]))
    with pytest.raises(JournalError, match="No space"):
        add_note(run, "x")
    monkeypatch.undo()
    add_note(run, "there is space again")
    assert [note.text for note in read_notes(run)] == ["there is space again"]
