"""The command that explains features."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.failure import FAILED
from ai_hub.cli.finding import opened
from ai_hub.cli.options import (
    AsOf,
    Json,
    Missing_,
    Model,
    SetName,
    Tenant,
    Url,
    instant,
    missing_policy,
)
from ai_hub.cli.output import cell, counted, document, nothing, say

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document


def explain(
    tenant: Tenant,
    asset: Annotated[str, typer.Option("--asset", metavar="ID", help="The asset.")],
    feature_set: SetName = None,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="NAME", help="This feature alone; repeatable."),
    ] = None,
    at: AsOf = None,
    missing: Missing_ = None,
    model: Model = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show what each feature read, and why one has no value.

    The values are those of `ai-hub get`. Where one is missing or outside its range, a sentence says
    why and what to do.

    Example: ai-hub explain --tenant acme --asset meter-001 --set forecast_basic
    """
    from ai_hub.config import Settings

    given = {
        "feature_set": feature_set,
        "feature_names": feature or None,
        "timestamp": None if at is None else instant(at, "--at"),
        "missing": missing_policy(missing),
        "model": model,
    }
    request: Document = {"tenant_id": tenant, "asset_id": asset}
    request |= {key: value for key, value in given.items() if value is not None}

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.explain(request)

    found = asyncio.run(work())
    if as_json:
        document(found)
    else:
        _show(found)
    if found["degraded"]:
        raise typer.Exit(FAILED)
    if any(feature["cause"] == "unknown_asset" for feature in found["features"]):
        nothing(f"There is no asset {cell(asset)} of {cell(tenant)}.")


def _show(found: Document) -> None:
    name = found["feature_set"]
    what = "features" if name is None else f"{name}@{found['version']}"
    say(f"{found['tenant_id']} / {found['asset_id']}  {what} as of {found['timestamp']}", "bold")
    for feature in found["features"]:
        say("")
        say(f"{feature['name']} = {_value(feature)}", "yellow" if feature["why"] else "bold")
        for line in _lines(feature):
            say(f"  {line}")
    if "error" in found:
        say("")
        say(f"The set rejects such values: {found['error']}", "yellow")


def _value(feature: dict[str, Any]) -> str:
    value = "null" if feature["value"] is None else cell(feature["value"])
    if not feature["missing"]:
        return value
    return f"{value} (missing)" if feature["filled"] is None else f"{value} (missing, filled)"


def _lines(feature: dict[str, Any]) -> list[str]:
    lines = [_definition(feature["definition"])]
    if feature["window"] is not None:
        lines.append(f"window    {_window(feature['window'])}")
    if feature["rows"] is not None:
        lines.append(f"rows      {_rows(feature)}")
    if feature["inputs"] is not None:
        inputs = (f"{name} = {cell(value)}" for name, value in feature["inputs"].items())
        lines.append(f"inputs    {', '.join(inputs)}")
    if feature["filled"] is not None:
        lines.append(f"filled    {_filled(feature['filled'])}")
    if feature["why"] is not None:
        lines.append(f"why       {feature['why']}")
    return lines


def _definition(definition: dict[str, Any]) -> str:
    said = (
        f"{key}={cell(value)}"
        for key, value in definition.items()
        if key not in ("kind", "name", "description", "unit", "valid")
    )
    return f"is        {definition['kind']}({', '.join(said)})"


def _window(window: dict[str, Any]) -> str:
    left = "[" if window["closed"] in ("both", "left") else "("
    right = "]" if window["closed"] in ("both", "right") else ")"
    return f"{left}{window['start']}, {window['end']}{right}"


def _rows(feature: dict[str, Any]) -> str:
    rows, source = feature["rows"], feature["source"]
    of = next(str(source[key]) for key in ("series", "column", "key") if key in source)
    if source.get("station"):
        of += f" of {source['station']}"
    said = f"{counted(rows['count'], 'row')} of {of}"
    if rows["count"] > 1:
        said += f" from {rows['first']} to {rows['last']}"
    elif rows["count"]:
        said += f" at {rows['first']}"
    if feature["coverage"] is not None:
        said += f", {feature['coverage']:.0%} of the window"
    if rows["newest"]:
        values = ", ".join(cell(row["value"]) for row in rows["newest"])
        said += f"; newest first: {values}" if rows["count"] > 1 else f": {values}"
    if "issued_at" in source:
        said += f", issued at {source['issued_at']}"
    return said


def _filled(filled: dict[str, Any]) -> str:
    if "rows" in filled:
        if not filled["rows"]["count"]:
            return (
                f"with 0: no {filled['mean_of']} in {_window(filled['window'])} to take a mean of"
            )
        rows = counted(filled["rows"]["count"], "row")
        return f"with the mean of {filled['mean_of']} in {_window(filled['window'])}, {rows}"
    if filled["policy"] == "keep":
        return "with nothing (policy keep)"
    return f"with {cell(filled.get('number', filled['policy']))} (policy {filled['policy']})"
