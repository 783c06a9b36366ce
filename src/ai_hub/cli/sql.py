"""The command `sql`: a look at the database, and views of one's own in a database file."""

from __future__ import annotations

import asyncio
import csv
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.failure import Stop
from ai_hub.cli.options import Json
from ai_hub.cli.output import counted, document, nothing, say, table, tell
from ai_hub.errors import StoreLocked

if TYPE_CHECKING:
    from ai_hub.stores.query import Found

_SHOWN = 200
"""Rows of a table for people."""


def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SQL statement.")],
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Not for this command: a server takes no SQL."),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV with a header instead of a table.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Query the database, or make a view for features.

    In a database file it also takes CREATE VIEW, CREATE OR REPLACE VIEW and DROP VIEW of views of
    your own, which read its tables and no file. On PostgreSQL views are made with psql.

    Example: ai-hub sql "SELECT asset_id, count(*) FROM ai_features GROUP BY asset_id"
    """
    if url is not None:
        raise Stop(
            "--url: a server takes no SQL, which could read every tenant's rows and hold it up. "
            "Run this where the database is, without --url."
        )
    if as_csv and as_json:
        raise Stop("--csv, --json: expected one of them")
    found = _run(query, None if as_csv or as_json else _SHOWN + 1)
    if as_json:
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
        document({"columns": list(found.columns), "rows": rows})
    elif not found.columns:
        say("Done.")
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([found.columns, *found.rows])
    else:
        table(found.columns, found.rows[:_SHOWN])
        if len(found.rows) > _SHOWN:
            tell(f"These are the first {counted(_SHOWN, 'row')}: --csv and --json print all.")
    if found.columns and not found.rows:
        nothing("There are no such rows.")


def _run(query: str, most: int | None) -> Found:
    from ai_hub.administration import run_query
    from ai_hub.config import Settings

    settings = Settings.load()
    try:
        return asyncio.run(run_query(settings, query, most))
    except StoreLocked as error:
        raise Stop(
            f"{settings.database_name} is held by another process, such as a server, and a server "
            "takes no SQL. Stop it first."
        ) from error
