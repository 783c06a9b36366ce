"""Commands about rollouts: `rollout` and `rollout split`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ai_hub.access.actor import user
from ai_hub.cli.finding import asked, opened
from ai_hub.cli.options import Json, Tenant, Url
from ai_hub.cli.output import counted, document, nothing, say, table

if TYPE_CHECKING:
    from ai_hub.cli.backend import Backend, Document

_SET = "set"
_PAGE = 10_000
"""Assets asked for at a time."""


class _Rollout(TyperGroup):
    """`rollout NAME ...` is `rollout set NAME ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command that is meant where none is named."""
        if not args or args[0] not in self.commands:
            args = [_SET, *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(
    cls=_Rollout,
    rich_markup_mode=None,
    help="Let a name mean another version for a part of the assets.",
)


@commands.command(_SET)
def rollout(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A feature set; by default all are shown.")
    ] = None,
    to: Annotated[
        int | None, typer.Option("--to", metavar="VERSION", help="The version to roll out.")
    ] = None,
    percent: Annotated[
        float | None,
        typer.Option(
            "--percent", metavar="NUMBER", help="How many of the assets have it: 0 to 100."
        ),
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Make the version the default, for all assets.")
    ] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="End the rollout; the default stays as it was.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let a name mean another version for a part of the assets.

    Without options the rollouts are shown. `ai-hub rollout split` writes who has which version.

    Example: ai-hub rollout forecast_basic --to 2 --percent 10
    """
    from ai_hub.errors import InvalidInput

    begins = to is not None or percent is not None
    if begins + finish + abort > 1:
        raise InvalidInput("rollout", name, "one of: --to with --percent, --finish, or --abort")
    if begins + finish + abort == 0:
        _show(name, url, as_json)
        return
    if name is None:
        raise InvalidInput("NAME", None, "the feature set that is meant")
    if begins and (to is None or percent is None):
        missing = "--to" if to is None else "--percent"
        raise InvalidInput(missing, None, "a value: --to and --percent go together")
    request: Document = {"finish": True} if finish else {"abort": True}
    if begins:
        request = {"to": to, "percent": percent, "begun_by": user()}
    found = asked(url, lambda registry: registry.rollout(name, request))
    if as_json:
        document(found)
    elif found["rollout"] is not None:
        say(_words(found["rollout"]))
    else:
        say(f"{name} alone means {name}@{found['version']} for every asset.")


def _show(name: str | None, url: str | None, as_json: bool) -> None:
    found = asked(url, lambda registry: registry.listed())["feature_sets"]
    under_way = {
        one["name"]: one["rollout"]
        for one in found
        if one["rollout"] is not None and name in (None, one["name"])
    }
    if as_json:
        document({"rollouts": [*under_way.values()]})
    for one in () if as_json else under_way.values():
        say(_words(one))
    if not under_way:
        nothing("No rollout is under way.")


def _words(found: Document) -> str:
    name = found["feature_set"]
    return (
        f"{name} alone means {name}@{found['to']} for {found['percent']:g} per cent of the assets, "
        f"and {name}@{found['from']} for the others."
    )


@commands.command()
def split(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A feature set that is rolled out.")],
    tenant: Tenant,
    assets: Annotated[
        Path | None,
        typer.Option(
            "--assets",
            metavar="FILE",
            help="An asset id a line; by default every asset of the tenant.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="The Parquet file to write: asset_id, version."
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write the version that each asset has.

    Example: ai-hub rollout split forecast_basic --tenant acme -o split.parquet
    """
    from ai_hub.config import Settings
    from ai_hub.errors import UnknownRollout
    from ai_hub.serving.rollouts import split_of

    async def work() -> tuple[Document, list[str]]:
        async with opened(Settings.load(), url) as backend:
            found = await backend.registry.described(name)
            if found["rollout"] is None:
                raise UnknownRollout(name)
            ids = _ids(assets) if assets is not None else await _all(backend, tenant)
            return found["rollout"], ids

    found, asset_ids = asyncio.run(work())
    versions = split_of(found, tenant, asset_ids)
    if output is not None:
        from ai_hub.export.split import write_split

        write_split(versions, output)
    if as_json:
        document({"rollout": found, "tenant_id": tenant, "versions": versions})
    elif output is not None:
        newer = sum(one == found["to"] for one in versions.values())
        say(f"{output}: {counted(len(versions), 'asset')}, {newer:,} of version {found['to']}")
    else:
        table(("asset_id", "version"), [*versions.items()])
    if not versions:
        nothing(f"{tenant} has no assets.")


async def _all(backend: Backend, tenant: str) -> list[str]:
    """The assets of a tenant, page by page."""
    found: list[str] = []
    request: Document = {"tenant_id": tenant, "after": None, "limit": _PAGE, "since": None}
    while True:
        page = await backend.assets(request)
        found += [one["asset_id"] for one in page["assets"]]
        if page["next"] is None:
            return found
        request["after"] = page["next"]


def _ids(file: Path) -> list[str]:
    """The ids of a file, each once. Raises InvalidInput naming the line."""
    from ai_hub.definitions.values import check_id
    from ai_hub.errors import InvalidInput

    try:
        lines = file.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise InvalidInput("--assets", str(file), "a text in UTF-8, an asset id a line") from None
    found: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not (number == 1 and text == "asset_id"):
            found[check_id(f"{file} line {number}", text)] = None
    return [*found]
