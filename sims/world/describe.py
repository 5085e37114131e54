"""The world file in words: every key with its value and what it means."""

import textwrap
from pathlib import Path
from typing import Any

from sims.world.config import WorldConfig, load_world_config

_HEAD = """\
# What is true on the simulated bench. Give it to a simulated run with --world FILE; neither the plan nor the
# analysis reads it. Every key may be left out and has then the value written here. The defaults are a good
# bench: capped cuvette, stirred, probe out of the beam, and instruments off by what their makers promise.
"""


def describe_world(config: WorldConfig | Path | None = None) -> str:
    """Return the world file of `config` (default: the default world), every key explained in a comment.

    `config` may be a world file; FileInvalidError where it is wrong. Reading the text back with
    `load_world_config` gives an equal configuration.
    """
    world = config if isinstance(config, WorldConfig) else load_world_config(config)
    lines = [_HEAD]
    for name in WorldConfig.model_fields:
        section = getattr(world, name)
        doc = (type(section).__doc__ or "").strip().splitlines()[0]
        lines += [*_comment(doc), f"[{name}]"]
        for key, field in type(section).model_fields.items():
            lines += [*_comment(field.description or ""), f"{key} = {_toml(getattr(section, key))}"]
        lines.append("")
    return "\n".join(lines)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, width=108, initial_indent="# ", subsequent_indent="# ")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(float(value))
