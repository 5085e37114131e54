"""Which bench and which sample are meant where the call names none."""

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path

from nanolab.bench.config import BenchConfig, check_bench, load_bench, with_simulation
from nanolab.bench.files import Source
from nanolab.bench.sample import SampleConfig, check_sample, load_sample

__all__ = ["example_sample", "find_bench", "find_sample", "simulated_bench", "with_simulation"]


def find_bench(path: Path | None = None, roles: Sequence[str] = ()) -> BenchConfig:
    """Return the bench of `path`, else of ``NANOLAB_BENCH``, else of ./bench.toml, else the simulated bench.

    The simulated bench has the instruments of `roles` beside its usual ones. FileInvalidError where the file that is meant is missing or wrong.
    """
    chosen = _chosen(path, "NANOLAB_BENCH", "bench.toml")
    return simulated_bench(roles) if chosen is None else load_bench(chosen)


def find_sample(path: Path | None = None) -> SampleConfig:
    """Return the sample of `path`, else of ``NANOLAB_SAMPLE``, else of ./sample.toml, else the example.

    FileInvalidError where the file that is meant is missing or wrong.
    """
    chosen = _chosen(path, "NANOLAB_SAMPLE", "sample.toml")
    return example_sample() if chosen is None else load_sample(chosen)


def simulated_bench(roles: Sequence[str] = ()) -> BenchConfig:
    """Return the bench that `nanolab bench init` writes, every instrument simulated, with those of `roles` too."""
    from nanolab.bench.template import OPTIONAL_DRIVERS, bench_template

    text = bench_template(further=[role for role in roles if role in OPTIONAL_DRIVERS])
    return check_bench(tomllib.loads(text), Source("the example bench", text))


def example_sample() -> SampleConfig:
    """Return the sample that `nanolab bench init` writes."""
    from nanolab.bench.template import sample_template

    text = sample_template()
    return check_sample(tomllib.loads(text), Source("the example sample", text))


def _chosen(path: Path | None, variable: str, usual: str) -> Path | None:
    if path is not None:
        return path
    named = os.environ.get(variable)
    if named:
        return Path(named)
    return Path(usual) if Path(usual).is_file() else None
