"""`nanolab laser off` for those who come by the `nanolab` application; `nanolab.entry` calls it without."""

import typer

app = typer.Typer(rich_markup_mode=None, help="Turn the laser off.")


@app.callback()
def _group() -> None:
    """Turn the laser off."""


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def off(context: typer.Context) -> None:
    """Turn the laser off at once and read it back: through the guardian while a run is on, else directly."""
    from nanolab.commands.laser_off import run

    raise typer.Exit(run(context.args))
