"""Commands about definitions: `plan`, `apply` and `sets`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.access.actor import user
from ai_hub.cli.failure import BAD_INPUT
from ai_hub.cli.finding import asked
from ai_hub.cli.options import Json, Url
from ai_hub.cli.output import cell, counted, document, say, table

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document, RegistryBackend

_File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A definitions file: features.py, which is run here, or a .yaml or .json file.",
    ),
]
_Version = Annotated[
    str, typer.Argument(metavar="NAME@VERSION", help="A version of a feature set.")
]
_ACTIONS = {
    "create": ("+", "new", "green"),
    "describe": ("~", "described in other words", "green"),
    "update semantics": ("~", "the same definition, which this release means otherwise", "yellow"),
    "none": ("=", "no change", None),
    "refuse": ("!", "there with another definition, so it cannot be applied", "red"),
}
"""Of each action a sign, words and a colour."""


def plan(file: _File, url: Url = None, as_json: Json = False) -> None:
    """Show what applying a definitions file would change.

    Nothing is changed. Ends with 2 if the file cannot be applied.

    Example: ai-hub plan features.py
    """
    request = _request(file)
    found = asked(url, lambda registry: registry.plan(request), "built-in")
    if as_json:
        document(found)
    else:
        _show_plan(found)
        new = sum(one["action"] not in ("none", "refuse") for one in found["changes"])
        if not found["allowed"]:
            say("Raise the versions that are there with another definition.", "red")
        elif new:
            say(f"{counted(new, 'change')}. To make them: ai-hub apply {file}", "bold")
        else:
            say("Nothing to apply.", "bold")
    if not found["allowed"]:
        raise typer.Exit(BAD_INPUT)


def apply(file: _File, url: Url = None, as_json: Json = False) -> None:
    """Apply a definitions file: all of it or nothing.

    It asks nothing. Every process of the database serves it within a second. What is there already
    is no change, and what the file leaves out stays as it is.

    Example: ai-hub apply features.py
    """
    request = _request(file)
    found = asked(url, lambda registry: registry.apply(request), "make")
    if as_json:
        document(found)
    else:
        _show_plan(found)
        done = sum(one["action"] != "none" for one in found["changes"])
        say(f"{counted(done, 'change')} applied." if done else "Nothing to apply.", "bold")


commands = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@commands.callback()
def sets(context: typer.Context, url: Url = None, as_json: Json = False) -> None:
    """List feature sets, or change what versions are served.

    Example: ai-hub sets
    """
    if context.invoked_subcommand is not None:
        return
    found = asked(url, lambda registry: registry.listed(), "built-in")
    if as_json:
        document(found)
        return
    rows = [
        (
            _label(one),
            one["state"] + (", default" if one["default"] else ""),
            one["feature_count"],
            one["fingerprint"],
            one["owner"],
            one["description"],
        )
        for one in found["feature_sets"]
    ]
    table(("feature set", "state", "features", "fingerprint", "owner", "description"), rows)


@commands.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A feature set, as name or name@version.")
    ],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the definitions of a feature set.

    Example: ai-hub sets show forecast_basic@1
    """
    from ai_hub.definitions.valid_range import valid_of

    found = asked(url, lambda registry: registry.described(name), "built-in")
    if as_json:
        document(found)
        return
    say(f"{_label(found)}  {cell(found['description'])}".rstrip(), style="bold")
    default = ", the default" if found["default"] else ""
    say(
        f"{found['state']}{default}, fingerprint {found['fingerprint']}, "
        f"missing values: {found['missing']}, "
        f"values outside their range: {found['on_violation']}"
    )
    if found["applied_at"] is not None:
        say(f"applied {found['applied_at']} by {cell(found['applied_by']) or 'nobody named'}")
    rows = []
    for one in found["definitions"]:
        own = {key: value for key, value in one.items() if key not in ("kind", "name")}
        unit, meaning = own.pop("unit", ""), own.pop("description", "")
        valid = str(valid_of(own.pop("valid"))) if "valid" in own else ""
        text = ", ".join(f"{key}={value}" for key, value in own.items())
        rows.append((one["name"], one["kind"], text, f"{valid} {unit}".strip(), meaning))
    table(("feature", "kind", "definition", "range", "description"), rows)


@commands.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A version.")],
    after: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="Another one.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show where two feature sets differ, feature by feature.

    Example: ai-hub sets diff forecast_basic@1 forecast_advanced@1
    """
    from ai_hub.definitions.changes import described_differences

    async def both(registry: RegistryBackend) -> Document:
        return {
            "before": await registry.described(before),
            "after": await registry.described(after),
        }

    found = asked(url, both, "built-in")
    differ = described_differences(found["before"], found["after"])
    if as_json:
        shown = [{**one.document(), "text": str(one)} for one in differ]
        document({"before": before, "after": after, "differences": shown})
        return
    for one in differ:
        say(cell(str(one)))
    if not differ:
        say("They are the same.")


@commands.command()
def default(name: _Version, url: Url = None, as_json: Json = False) -> None:
    """Let the name of a feature set alone mean a version.

    Example: ai-hub sets default forecast_basic@1
    """
    found = asked(url, lambda registry: registry.set_default(name))
    if as_json:
        document(found)
    else:
        say(f"{found['name']} alone means {_label(found)} now.")


@commands.command()
def retire(name: _Version, url: Url = None, as_json: Json = False) -> None:
    """Serve a version no more; exports that were made with it stay readable.

    Example: ai-hub sets retire my_set@1
    """
    found = asked(url, lambda registry: registry.retire(name))
    if as_json:
        document(found)
    else:
        say(f"{_label(found)} is retired.")


@commands.command()
def schema() -> None:
    """Print the JSON Schema of a definitions file, by which editors complete it.

    Example: ai-hub sets schema > feature-sets.schema.json
    """
    from ai_hub.definitions.json_schema import json_schema

    document(json_schema())


def _request(file: Path) -> Document:
    """The document of a file, and who applies it."""
    from ai_hub.definitions.document import document_of
    from ai_hub.definitions.file import load_file

    return {**document_of(load_file(file)), "applied_by": user()}


def _show_plan(found: Document) -> None:
    for change in found["changes"]:
        sign, words, colour = _ACTIONS[change["action"]]
        more = ", and retired" if change["retired"] else ""
        if change["action"] == "create" and change["default"]:
            more = ", the default of its name"
        say(f"{sign} {change['feature_set']}  {words}{more}", colour)
        if change["differences"] and change["against"] != change["feature_set"]:
            say(f"    Compared with {change['against']}:")
        for one in change["differences"]:
            say(f"    {cell(one['text'])}")
        if change["cold"]:
            for name, reads in change["features"].items():
                say(f"    {name} reads {reads}")
            if change["reads"]["views"]:
                say("    It reads a view, so its answers are computed each time, never cached.")
            else:
                say("    Nothing of it is cached yet: its first answers are computed.")
        for note in change["notes"]:
            say(f"    note: {cell(note)}")
        for model, bound in change["models"].items():
            again = change["action"] == "update semantics" and bound == change["feature_set"]
            then = ", and is refused until it is bound again" if again else ""
            say(f"    {model} is bound to {bound}{then}.", "yellow" if again else None)
    for warning in found["warnings"]:
        say(f"warning: {warning}", "yellow")


def _label(found: Document) -> str:
    return f"{found['name']}@{found['version']}"
