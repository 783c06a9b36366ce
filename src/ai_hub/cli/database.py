"""Commands for the tables of a database on PostgreSQL: `migrate`, `adopt`, `grant-tenant`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.failure import Stop
from ai_hub.cli.finding import check_file, lacks_file, tell_created
from ai_hub.cli.options import Json
from ai_hub.cli.output import counted, document, progress, say, table, tell

if TYPE_CHECKING:
    from ai_hub.adoption import Adopted
    from ai_hub.config import Settings
    from ai_hub.definitions.values import Duration


def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL that would run, and change nothing.")
    ] = False,
    sql: Annotated[
        Path | None,
        typer.Option(
            "--sql",
            metavar="FILE",
            help="Write the migrations as one file for psql -v ON_ERROR_STOP=1 -f FILE, and open "
            "no database.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make or update the tables of a database on PostgreSQL.

    Safe to repeat: what was applied is not applied again. It also declares how long rows are kept,
    as the settings say. Where the database is a file that is not there, it makes an empty one.

    Example: AI_HUB_DATABASE_URL=postgresql://ai_hub@localhost/ai_hub ai-hub migrate
    """
    from ai_hub.config import Settings

    settings = Settings.load()
    if sql is not None:
        if dry_run:
            raise Stop("--dry-run: expected without --sql, which changes no database either")
        _write(settings, sql, as_json)
        return
    if lacks_file(settings):
        _make(settings, dry_run, as_json)
        return
    if not settings.on_server:
        raise Stop(
            f"{settings.database_name} is an embedded database: it makes its tables itself, there "
            "is nothing to migrate. This is for a database on PostgreSQL (AI_HUB_DATABASE_URL).",
            0,
        )
    _migrate(settings, dry_run, as_json)


def _make(settings: Settings, dry_run: bool, as_json: bool) -> None:
    """Make an empty database file."""
    from ai_hub.feature_store import FeatureStore

    async def work() -> None:
        async with FeatureStore(settings):
            pass

    name = settings.database_name
    if dry_run:
        tell(f"There is no database at {name}; without --dry-run an empty one is made.", "yellow")
    else:
        asyncio.run(work())
        tell_created(settings)
    if as_json:
        document({"database": name, "mode": "embedded", "dry_run": dry_run})


def _write(settings: Settings, file: Path, as_json: bool) -> None:
    from ai_hub.administration import migration_script

    file.write_text(migration_script(settings), "utf-8")
    if as_json:
        document({"file": str(file)})
    else:
        say(f"Wrote {file}. Run it: psql -v ON_ERROR_STOP=1 -d DATABASE -f {file}")


def _migrate(settings: Settings, dry_run: bool, as_json: bool) -> None:
    from ai_hub.administration import migrate as run

    report = asyncio.run(run(settings, dry_run))
    keep = {name: _days(width) for name, width in report.keep.items()}
    if as_json:
        document(
            {
                "database": settings.database_name,
                "mode": report.mode,
                "server_version": report.server_version,
                "extension_version": report.extension_version,
                "dry_run": dry_run,
                "migrations": list(report.applied),
                "keep": keep,
                "notes": list(report.notes),
                "sql": report.sql,
            }
        )
        return
    for note in report.notes:
        tell(note, "yellow")
    if report.sql is not None:
        typer.echo(report.sql, nl=False)
        return
    extension = f", TimescaleDB {report.extension_version}" if report.extension_version else ""
    tell(
        f"{settings.database_name}: PostgreSQL {report.server_version}{extension} "
        f"(mode {report.mode})"
    )
    for name in report.applied:
        say(f"Applied {name}.")
    if not report.applied:
        say("Nothing was left to apply.")
    table(("relation", "kept for"), [(name, width or "forever") for name, width in keep.items()])


def _days(width: Duration | None) -> str | None:
    """A retention as settings write it."""
    from ai_hub.definitions.values import DAY

    if width is None:
        return None
    return str(width) if width.micros % DAY else f"{width.micros // DAY}d"


def grant_tenant(
    role: Annotated[str, typer.Argument(help="A role of the server.", metavar="ROLE")],
    tenant: Annotated[str, typer.Argument(help="The tenant.", metavar="TENANT")],
    as_json: Json = False,
) -> None:
    """Let a role read a tenant's rows with SQL, and no others.

    It gets views and functions of its own, in a schema of its name: `ai_features` means its rows
    there. Run it again for another tenant, and after a new release was migrated.

    Example: ai-hub grant-tenant analyst tenant-123
    """
    from ai_hub.administration import grant_tenant as grant
    from ai_hub.config import Settings

    settings = Settings.load()
    check_file(settings)
    if not settings.on_server:
        raise Stop(
            f"{settings.database_name} is an embedded database, which has no roles: who may read "
            "the file sees all of it. This is for a database on PostgreSQL (AI_HUB_DATABASE_URL)."
        )
    names = asyncio.run(grant(settings, role, tenant))
    if as_json:
        document({"role": role, "tenant_id": tenant, "schema": role, "names": names})
    else:
        say(f"{role} may read what is of {tenant}, in the schema of its name: {', '.join(names)}.")


def adopt(
    names: Annotated[
        list[str],
        typer.Argument(help="Tables or views, with their schema if any.", metavar="TABLE"),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="URL", help="The database that they are in, if it is another one."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take over the rows of tables that others made.

    Readings, weather, attributes, stations of assets, exports or a registry, by the names of its
    columns. Run again, it goes on where it stopped; a retention policy is taken from it first.

    Example: ai-hub adopt old_timeseries_data old_ai_features
    """
    from ai_hub.adoption import adopt as run
    from ai_hub.config import Settings

    settings = Settings.load()
    check_file(settings)
    if not settings.on_server:
        raise Stop(
            f"{settings.database_name} is an embedded database. This is for a database on "
            "PostgreSQL (AI_HUB_DATABASE_URL); here, `ai-hub ingest` lands a file."
        )

    async def work() -> list[Adopted]:
        done = []
        for name in names:
            with progress(name, as_json) as show:
                done.append(await run(settings, name, source, show))
            if not as_json:
                _adopted(done[-1])
        return done

    done = asyncio.run(work())
    if as_json:
        document({"tables": [asdict(one) for one in done]})


def _adopted(one: Adopted) -> None:
    if one.had_retention:
        tell(f"The retention policy of {one.table} was taken from it.", "yellow")
    say(
        f"{one.table}: {counted(one.rows, 'row')} taken over ({one.duplicates:,} gave way to "
        f"another of their key, {one.rejected:,} rejected)."
    )
    for reason in one.reasons:
        tell(f"  rejected: {reason.field or 'row'}: got {reason.value!r}, {reason.why}")
