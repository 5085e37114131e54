"""Where the `nanolab` command begins: `nanolab laser off` goes its own short way, everything else through `nanolab.cli`."""

import sys


def main() -> int:
    """Run the command line and return the exit code."""
    words = sys.argv[1:]
    if words[:2] == ["laser", "off"]:
        from nanolab.commands.laser_off import main as laser_off

        return laser_off(words[2:])
    from nanolab.cli import main as application

    return application(words)
