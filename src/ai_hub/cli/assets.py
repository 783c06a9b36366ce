"""Commands about the assets of a tenant: `assets` and `assets set`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.finding import opened
from ai_hub.cli.options import Json, Tenant, Url, instant
from ai_hub.cli.output import cell, counted, document, nothing, say, table, tell
from ai_hub.errors import InvalidInput

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document
    from ai_hub.intake.batch import Batch

commands = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@commands.callback()
def assets(
    context: typer.Context,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="The tenant (to be named).")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Only assets with a reading since then, such as 2025-10-09T00:00:00Z.",
        ),
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="Only assets after this one, by id.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")
    ] = 100,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the assets of a tenant, or set what they have.

    Each with its series (first and last reading, and the usual step between the newest ones), the
    station whose weather it reads, and its attributes, as they are now.

    Example: ai-hub assets --tenant acme
    """
    if context.invoked_subcommand is not None:
        return
    from ai_hub.config import Settings

    if tenant is None:
        raise InvalidInput("--tenant", None, "the tenant whose assets to list")
    request: Document = {"tenant_id": tenant, "after": after, "limit": limit}
    request["since"] = None if since is None else instant(since, "--since", "up")

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.assets(request)

    found = asyncio.run(work())
    if as_json:
        document(found)
    if not found["assets"]:
        nothing(f"{tenant} has no assets{'' if since is None and after is None else ' like that'}.")
    if as_json:
        return
    columns = ("asset", "series", "first reading", "last reading", "step", "station", "attributes")
    table(columns, [row for one in found["assets"] for row in _rows(one)])
    if found["next"] is not None:
        tell(f"There are more: --after {found['next']}")


@commands.command("set")
def set_attributes(
    asset: Annotated[str, typer.Argument(metavar="ASSET", help="The asset.")],
    attribute: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE", help="Attributes, such as capacity=120; KEY= ends one."
        ),
    ],
    tenant: Tenant,
    valid_from: Annotated[
        str | None,
        typer.Option(
            "--valid-from",
            metavar="TIME",
            help="From when on, such as 2025-10-09T00:00:00Z. By default always for an asset's "
            "first value of a key, and from now on for a later one.",
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Set attributes of one asset: a capacity, an area, a timezone.

    Example: ai-hub assets set meter-001 capacity=120 timezone=Europe/Berlin --tenant acme
    """
    from ai_hub.config import Settings

    batch = _checked(asset, attribute, tenant, valid_from)

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return (await backend.land(batch, "attributes")).document()

    found = asyncio.run(work())
    if as_json:
        document(found)
    else:
        changed = batch.table.num_rows - found["unchanged"]
        say(f"{asset} of {tenant}: {counted(changed, 'attribute')} changed.")


def _checked(asset: str, attributes: list[str], tenant: str, valid_from: str | None) -> Batch:
    """The attributes as a batch. Raises InvalidInput for one that cannot be."""
    from ai_hub.intake.attribute_checks import check_attributes
    from ai_hub.intake.frames import rows_to_table
    from ai_hub.intake.read_options import ReadOptions

    since = None if valid_from is None else instant(valid_from, "--valid-from", "up")
    rows = []
    for said in attributes:
        key, equals, value = said.partition("=")
        if not equals:
            raise InvalidInput("KEY=VALUE", said, "an attribute such as capacity=120")
        rows.append({"asset_id": asset, "key": key, "value": value, "valid_from": since})
    fields = ReadOptions.of("attributes").fields_of
    batch = check_attributes(rows_to_table(rows, fields), tenant)
    for reason in batch.reasons:
        raise InvalidInput(str(reason.field), reason.value, reason.why.removeprefix("expected "))
    return batch


def _rows(one: dict[str, Any]) -> list[tuple[object, ...]]:
    """An asset's lines of the table: one for each series, at least one."""
    has = ", ".join(f"{key}={cell(value)}" for key, value in one["attributes"].items())
    series = [
        (s["name"], s["first"], s["last"], _step(s["cadence_seconds"])) for s in one["series"]
    ]
    first, *others = series or [(None,) * 4]
    lines: list[tuple[object, ...]] = [(one["asset_id"], *first, one["station"], has or None)]
    return lines + [("", *other, "", "") for other in others]


def _step(seconds: float | None) -> str | None:
    """A step as one says it: 15m, 1h, 30d."""
    if seconds is None:
        return None
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:g}s"
