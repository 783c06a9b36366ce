"""Commands about feature vectors: `get` and `invalidate`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.failure import FAILED
from ai_hub.cli.finding import opened, server_of
from ai_hub.cli.options import (
    AsOf,
    Assets,
    Json,
    Missing_,
    Model,
    OneSet,
    ServerUrl,
    SetName,
    Tenant,
    Url,
    instant,
    missing_policy,
)
from ai_hub.cli.output import cell, counted, document, nothing, say, table, tell

if TYPE_CHECKING:
    from ai_hub.cli.backend import Backend, Document

_READ_NOTHING = frozenset({"Calendar", "Derived"})
"""Kinds of features that say nothing about what there is of an asset."""
_DEGRADED = "Degraded: the store did not answer, so only calendar features are here."
_PAGE = 100
"""Assets asked for at a time."""
_ASSETS_ABREAST = 5
"""Up to so many assets stand side by side; more stand below each other."""


def get(
    tenant: Tenant,
    asset: Assets,
    feature_set: SetName = None,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="NAME", help="A single feature; repeatable."),
    ] = None,
    at: AsOf = None,
    missing: Missing_ = None,
    model: Model = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the features of assets as of a time.

    Several assets are answered in one batch. Without --set and --feature: every
    built-in feature. Missing values are filled and named.

    Example: ai-hub get --tenant acme --asset meter-001 --set forecast_basic
    """  # fmt: skip
    from ai_hub.config import Settings

    given = {
        "feature_set": feature_set,
        "feature_names": feature or None,
        "timestamp": None if at is None else instant(at, "--at"),
        "missing": missing_policy(missing),
        "model": model,
    }
    request: Document = {"tenant_id": tenant}
    request |= {key: value for key, value in given.items() if value is not None}

    async def work() -> tuple[Document, list[str]]:
        async with opened(Settings.load(), url) as backend:
            if len(asset) == 1:
                found = await backend.get({**request, "asset_id": asset[0]})
            else:
                found = await backend.batch({**request, "asset_ids": asset})
            return found, await _unknown(backend, found)

    found, empty = asyncio.run(work())
    if as_json:
        document(found)
    elif "results" in found:
        _show_batch(found)
    else:
        _show_vector(found)
    each = _each(found)
    if any(one["degraded"] for one in each.values()):
        raise typer.Exit(FAILED)
    if empty:
        told = f"{cell(tenant)} has no readings or attributes of {', '.join(map(cell, empty))}."
        if len(empty) == len(each):
            nothing(told)
        tell(told, style="yellow")


def _each(found: Document) -> dict[str, Document]:
    """The answer for each asset."""
    results: dict[str, Document] = found.get("results") or {found["asset_id"]: found}
    return results


async def _unknown(backend: Backend, found: Document) -> list[str]:
    """The assets that are not there: no feature that reads data has a value, and no reading or
    attribute is stored. More is asked for only where that may be."""
    suspects = {
        asset_id: one
        for asset_id, one in _each(found).items()
        if one["missing"] and not one["degraded"]
    }
    if not suspects:
        return []
    kinds = await _definitions(backend, found, suspects.values())

    def has_value(name: str, value: object) -> bool:
        definition = kinds[name]
        counts_none = definition.get("stat") == "count" and not value
        return definition["kind"] not in _READ_NOTHING and not counts_none

    return [
        asset_id
        for asset_id, one in suspects.items()
        if not any(
            has_value(name, value)
            for name, value in one["features"].items()
            if name not in one["missing"]
        )
        and await stored_asset(backend, found["tenant_id"], asset_id) is None
    ]


async def stored_asset(backend: Backend, tenant_id: str, asset_id: str) -> Document | None:
    """What is known of an asset, as its tenant's list says from shortly before it on; None where it
    is not there."""
    request: Document = {"tenant_id": tenant_id, "since": None, "limit": _PAGE}
    after: str | None = asset_id[:-1].strip() or None
    while True:
        page = await backend.assets({**request, "after": after})
        for one in page["assets"]:
            if one["asset_id"] == asset_id:
                found: Document = one
                return found
        after = page["next"]
        if after is None or after > asset_id:
            return None


async def _definitions(
    backend: Backend, found: Document, of: Collection[Document]
) -> dict[str, Document]:
    """The definitions of features by name, as some answers have them."""
    from ai_hub.definitions.builtin_features import FEATURES
    from ai_hub.definitions.document import plain_feature

    name = found["feature_set"]
    if name is not None:
        versions = {one.get("version") or found["version"] for one in of}
        described = [await backend.registry.described(f"{name}@{one}") for one in sorted(versions)]
        return {one["name"]: one for each in described for one in each["definitions"]}
    # A feature by itself is the built-in one of its name.
    described = (await backend.registry.listed())["feature_sets"]
    own: dict[str, Document] = {
        one["name"]: one for each in described for one in each["definitions"]
    }
    return own | {one.name: plain_feature(one) for one in FEATURES}


def _show_vector(found: Document) -> None:
    filled = set(found["missing"])
    rows = [
        (name, value, ("null" if value is None else "filled") if name in filled else "")
        for name, value in found["features"].items()
    ]
    say(f"{found['tenant_id']} / {found['asset_id']}  {_title(found)}", style="bold")
    table(("feature", "value", "missing"), rows)
    if found["violations"]:
        say(f"Outside their range: {', '.join(found['violations'])}", "yellow")
    if found["degraded"]:
        say(found.get("reason") or _DEGRADED, "yellow")


def _show_batch(found: Document) -> None:
    results: dict[str, Any] = found["results"]
    names = list(dict.fromkeys(name for one in results.values() for name in one["features"]))
    say(f"{found['tenant_id']}  {_title(found)}", style="bold")
    if len(results) <= _ASSETS_ABREAST:
        each = [one["features"] for one in results.values()]
        table(("feature", *results), [(name, *(one.get(name) for one in each)) for name in names])
    else:
        rows = [
            (asset_id, *(one["features"].get(name) for name in names))
            for asset_id, one in results.items()
        ]
        table(("asset", *names), rows)
    if found["feature_set"] is not None and found["version"] is None:
        for asset_id, one in results.items():
            say(f"{asset_id} has {found['feature_set']}@{one['version']}", style="dim")
    filled = {asset_id: one["missing"] for asset_id, one in results.items() if one["missing"]}
    for asset_id, missing in filled.items():
        say(f"missing for {asset_id}: {', '.join(missing)}", style="dim")
    for asset_id, one in results.items():
        if one["violations"]:
            why = one.get("error") or ", ".join(one["violations"])
            say(f"outside their range for {asset_id}: {why}", "yellow")
    reason = next((one["reason"] for one in results.values() if "reason" in one), _DEGRADED)
    degraded = [asset_id for asset_id, one in results.items() if one["degraded"]]
    if len(degraded) == len(results):
        say(reason, "yellow")
    elif degraded:
        say(f"{reason} That is so for {', '.join(degraded)}.", "yellow")


def _title(found: Document) -> str:
    name, version = found["feature_set"], found["version"]
    what = "features" if name is None else f"{name}@{version}"
    if name is not None and version is None:
        return f"{name} in two versions as of {found['timestamp']}"
    return f"{what} as of {found['timestamp']}, missing values: {found['policy']}"


def invalidate(
    tenant: Tenant,
    asset: Assets,
    feature_set: OneSet = None,
    url: ServerUrl = None,
    as_json: Json = False,
) -> None:
    """Have the server forget cached vectors.

    Example: ai-hub invalidate --tenant acme --asset meter-001
    """
    from ai_hub.config import Settings

    request: Document = {"tenant_id": tenant, "asset_ids": asset}
    if feature_set is not None:
        request["feature_set"] = feature_set

    async def work() -> Document:
        async with server_of(Settings.load(), url) as server:
            return await server.invalidate(request)

    found = asyncio.run(work())
    if as_json:
        document(found)
    if not found["invalidated"]:
        nothing("Nothing of that was cached.")
    if not as_json:
        vectors = counted(found["invalidated"], "cached vector")
        say(f"{vectors} of {counted(found['assets'], 'asset')} forgotten.")
