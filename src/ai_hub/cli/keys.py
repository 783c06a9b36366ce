"""Commands about access keys: `keys` with `create`, `list` and `revoke`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.access.actor import user
from ai_hub.cli.finding import asked
from ai_hub.cli.options import Json, Url
from ai_hub.cli.output import cell, document, nothing, say, table, tell

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document

commands = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@commands.callback()
def keys(context: typer.Context, url: Url = None, as_json: Json = False) -> None:
    """Show, make and revoke access keys.

    Example: ai-hub keys
    """
    if context.invoked_subcommand is None:
        list_(url, as_json)


@commands.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.")],
    tenant: Annotated[
        list[str] | None,
        typer.Option("--tenant", metavar="ID", help="A tenant that it is for; repeatable."),
    ] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="It is for every tenant, of later times too.")
    ] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="What it allows, repeatable: read (vectors, assets, sets), write (readings), "
            "export (training sets), admin (definitions, keys).",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="WIDTH", help="How long it is valid, such as 90d."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make an access key. It is shown now and never again.

    Example: ai-hub keys create grafana --tenant acme --scope read --expires 90d
    """
    from ai_hub.errors import InvalidInput

    if bool(tenant) == all_tenants:
        raise InvalidInput("--tenant", tenant, "one or more tenants, or --all-tenants")
    request: Document = {"name": name, "scopes": scope or [], "created_by": user()}
    request |= {"all_tenants": True} if all_tenants else {"tenants": tenant}
    request |= {} if expires is None else {"expires": expires}
    made = asked(url, lambda registry: registry.create_key(request), "make")
    if as_json:
        document(made)
        return
    ends = f"until {made['expires_at']}" if made["expires_at"] else "until it is revoked"
    tell(f"Key {made['id']} of {cell(name)}: {_allows(made)}, {ends}. Shown this once:")
    say(made["key"])


@commands.command("list")
def list_(url: Url = None, as_json: Json = False) -> None:
    """List the access keys, those that ended too.

    Example: ai-hub keys list
    """
    found = asked(url, lambda registry: registry.keys())
    if as_json:
        document(found)
    if not found["keys"]:
        nothing("There are no access keys.")
    if as_json:
        return
    rows = [
        (
            one["id"],
            one["name"],
            _tenants(one),
            ", ".join(one["scopes"]),
            one["state"],
            one["expires_at"],
            f"{one['created_at']} by {one['created_by'] or 'nobody named'}",
        )
        for one in found["keys"]
    ]
    table(("id", "name", "tenants", "scopes", "state", "expires", "created"), rows)


@commands.command()
def revoke(
    id: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a key, as `keys list` has it.")
    ],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let a key be valid no more, on every server of this database within seconds.

    Example: ai-hub keys revoke 3k9x0a7c2b1d
    """
    found = asked(url, lambda registry: registry.revoke_key(id))
    if as_json:
        document(found)
    else:
        say(f"Key {found['id']} of {cell(found['name'])} is not valid any more.")


def _allows(found: Document) -> str:
    return f"{', '.join(found['scopes'])} for {_tenants(found)}"


def _tenants(found: Document) -> str:
    return "every tenant" if found["tenants"] is None else ", ".join(found["tenants"])
