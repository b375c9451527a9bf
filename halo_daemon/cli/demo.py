"""``halo-daemon demo``: the whole path with sample agents."""

import typer


def demo(ctx: typer.Context) -> None:
    """Show the whole path with sample agents."""
    raise typer.Exit(1)
