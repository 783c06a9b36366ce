"""Commands about models: `models` with `bind` and `unbind`."""

from __future__ import annotations

from typing import Annotated

import typer

from ai_hub.access.actor import user
from ai_hub.cli.finding import asked
from ai_hub.cli.options import Json, Url, missing_policy
from ai_hub.cli.output import cell, document, nothing, say, table

_Model = Annotated[
    str,
    typer.Argument(metavar="MODEL@VERSION", help="A version of a model, such as load-model@3."),
]
commands = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@commands.callback()
def models(context: typer.Context, url: Url = None, as_json: Json = False) -> None:
    """List the models that are bound to feature sets.

    Example: ai-hub models
    """
    if context.invoked_subcommand is not None:
        return
    found = asked(url, lambda registry: registry.models())
    if as_json:
        document(found)
    if not found["models"]:
        nothing("No model is bound.")
    if as_json:
        return
    rows = [
        (
            one["model"],
            one["feature_set"],
            one["policy"],
            one["fingerprint"],
            "bound" if one["current"] else "to be bound again",
            f"{one['bound_at']} by {one['bound_by'] or 'nobody named'}",
        )
        for one in found["models"]
    ]
    table(("model", "feature set", "missing values", "fingerprint", "state", "bound"), rows)


@commands.command()
def bind(
    model: _Model,
    feature_set: Annotated[
        str, typer.Argument(metavar="NAME@VERSION", help="The version that it was trained with.")
    ],
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            metavar="POLICY",
            help="What replaces a missing value: mean, zero, keep (null) or a number. By default "
            "the feature set's own policy.",
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Bind a model to a version of a feature set, as it is now.

    The version cannot be retired then. A request that names the model gets this version and policy,
    or is refused.

    Example: ai-hub models bind load-model@3 forecast_basic@1 --policy mean
    """
    wanted = missing_policy(policy, "--policy")
    request = {"model": model, "feature_set": feature_set, "policy": wanted, "bound_by": user()}
    found = asked(url, lambda registry: registry.bind_model(request))
    if as_json:
        document(found)
    else:
        say(
            f"{found['model']} is bound to {found['feature_set']}, fingerprint "
            f"{found['fingerprint']}, missing values: {found['policy']}."
        )


@commands.command()
def unbind(model: _Model, url: Url = None, as_json: Json = False) -> None:
    """Let a model be bound to nothing.

    Example: ai-hub models unbind load-model@3
    """
    found = asked(url, lambda registry: registry.unbind_model(model))
    if as_json:
        document(found)
    else:
        say(f"{cell(found['model'])} is not bound to {found['feature_set']} any more.")
