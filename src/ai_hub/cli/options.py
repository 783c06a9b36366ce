"""Options that several commands have, and the texts they take as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ai_hub.definitions.values import Rounding
    from ai_hub.definitions.vocabulary import Missing

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document, for programs, instead of a table."),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Go through this server, such as http://127.0.0.1:8003. By default the database file "
        "is opened directly, or reached through the server on this machine that holds it.",
    ),
]
ServerUrl = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The server; by default the one of this database."),
]
SetName = Annotated[
    str | None, typer.Option("--set", metavar="NAME", help="A feature set; see `ai-hub sets`.")
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="As of this time, such as 2025-10-09T14:30:00Z. By default now.",
    ),
]
Tenant = Annotated[str, typer.Option("--tenant", metavar="ID", help="The tenant.")]
Assets = Annotated[
    list[str],
    typer.Option("--asset", metavar="ID", help="An asset; repeatable."),
]
SomeAssets = Annotated[
    list[str] | None,
    typer.Option("--asset", metavar="ID", help="An asset, repeatable; by default all."),
]
OneSet = Annotated[
    str | None, typer.Option("--set", metavar="NAME", help="One feature set; by default all.")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL@VERSION",
        help="In place of a set the version and policy that this model is bound to; see `ai-hub "
        "models`.",
    ),
]
Missing_ = Annotated[
    str | None,
    typer.Option(
        "--missing",
        metavar="POLICY",
        help="What replaces a missing value: mean, zero, keep (null) or a number. By default "
        "the feature set's own policy.",
    ),
]


def missing_policy(text: str | None, option: str = "--missing") -> Missing | None:
    """The policy that an option says. Raises InvalidInput."""
    from ai_hub.definitions.vocabulary import read_missing

    return None if text is None else read_missing(text, option)


def instant(text: str, option: str, rounding: Rounding = "down") -> str:
    """A time as the canonical UTC text of requests. Raises InvalidInput naming the option."""
    from ai_hub.definitions.values import iso, parse_time

    return iso(parse_time(text, option, rounding))
