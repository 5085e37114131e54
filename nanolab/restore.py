"""What a run was made from, read back from its start document: for every analysis that begins with a run folder."""

from typing import TYPE_CHECKING

from nanolab.errors import FileInvalidError

if TYPE_CHECKING:
    from nanolab.assay import Setup
    from nanolab.journal.reader import Run


def setup_of(run: "Run") -> "Setup":
    """Return what a run was made from, as its start document tells; FileInvalidError where it does not."""
    from nanolab.assay import Setup
    from nanolab.bench.config import check_bench
    from nanolab.bench.files import Source
    from nanolab.bench.sample import check_sample

    place = str(run.path / "docs.jsonl")
    try:
        sample = {name: table for name, table in run.start["sample"].items() if name != "name"}
        bench, values = run.start["bench"], dict(run.start["parameters"])
    except (KeyError, AttributeError, TypeError) as error:
        raise FileInvalidError(
            f"{place}: the start document does not say what the run was made from ({error})"
        ) from error
    return Setup(
        bench=check_bench({name: table for name, table in bench.items() if table is not None}, Source(place)),
        sample=check_sample({name: table for name, table in sample.items() if table is not None}, Source(place)),
        values=values,
        blank="none",
        data_root=run.path.parent.parent,
        simulated=run.simulated,
    )
