"""How long a database on PostgreSQL keeps rows: `retention` with `show` and `set`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from ai_hub.cli.options import Json
from ai_hub.cli.output import document, say, table
from ai_hub.cli.upkeep import needs_server

_EMBEDDED = "it keeps all rows"
commands = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@commands.callback()
def retention(context: typer.Context, as_json: Json = False) -> None:
    """Show or set how long PostgreSQL keeps rows.

    Example: ai-hub retention
    """
    if context.invoked_subcommand is None:
        show(as_json)


@commands.command()
def show(as_json: Json = False) -> None:
    """Show how long each relation keeps its rows, and up to where they were deleted.

    Example: ai-hub retention show
    """
    from ai_hub.administration import retention as declared
    from ai_hub.config import Settings

    settings = Settings.load()
    needs_server(settings, _EMBEDDED)
    found = asyncio.run(declared(settings))
    if as_json:
        document({"retention": found})
        return
    names = [name.replace("_", " ") for name in found[0]]
    table(names, [list(one.values()) for one in found])


@commands.command("set")
def set_(
    relation: Annotated[
        str, typer.Argument(metavar="RELATION", help="A table or aggregate, such as ai_features.")
    ],
    keep: Annotated[
        str, typer.Argument(metavar="WIDTH", help="How long, such as 90d, or none for ever.")
    ],
    as_json: Json = False,
) -> None:
    """Declare how long a relation keeps its rows.

    From then on this stands, whatever AI_HUB_RETENTION_... says. It deletes nothing: `ai-hub
    maintain` tells of rows that are too old first, and deletes them a notice period later.

    Example: ai-hub retention set ai_features none
    """
    from ai_hub.administration import set_retention
    from ai_hub.config import Settings

    settings = Settings.load()
    needs_server(settings, _EMBEDDED)
    made = asyncio.run(set_retention(settings, relation, keep))
    if as_json:
        document(made)
        return
    now, before = (_kept(made[name]) for name in ("keep", "before"))
    say(f"{relation}: {now} from now on, {before} until now.")


def _kept(text: str) -> str:
    return "kept for ever" if text == "none" else f"kept for {text}"
