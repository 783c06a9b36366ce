"""The assets that a request names, checked, and what is known of assets as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ai_hub.definitions.values import MAX_ASSETS, MAX_BATCH, SECOND, check_id, check_list, iso
from ai_hub.errors import InvalidInput
from ai_hub.stores.asset_facts import AssetFacts


def check_batch(tenant_id: str, asset_ids: Sequence[str]) -> None:
    """Raise InvalidInput for a wrong tenant, no asset, or more than MAX_BATCH.

    The assets' ids are the reader's to check: those that the cache knows are right.
    """
    check_few(asset_ids)
    check_id("tenant_id", tenant_id)
    _check_some(asset_ids)


def check_few(asset_ids: Sequence[str]) -> None:
    """Raise InvalidInput for more than MAX_BATCH."""
    if len(asset_ids) > MAX_BATCH:
        raise InvalidInput("asset_ids", len(asset_ids), f"at most {MAX_BATCH} assets")


def check_assets(tenant_id: str, asset_ids: Iterable[str]) -> list[str]:
    """The assets, at most MAX_ASSETS of them, each once.

    Raises InvalidInput for what is no list, for too many, for a wrong id, and for none.
    """
    check_id("tenant_id", tenant_id)
    ids = check_list("asset_ids", asset_ids, "asset ids", MAX_ASSETS)
    _check_some(ids)
    for asset_id in ids:
        check_id("asset_id", asset_id)
    return list(dict.fromkeys(ids))


def described(facts: AssetFacts) -> dict[str, Any]:
    """What is known of an asset as the members of a JSON document."""
    return {
        "asset_id": facts.asset_id,
        "series": [
            {
                "name": one.name,
                "first": iso(one.first),
                "last": iso(one.last),
                "cadence_seconds": None if one.cadence is None else one.cadence / SECOND,
                "gaps": one.gaps,
                "flat_since": None if one.flat_since is None else iso(one.flat_since),
            }
            for one in facts.series
        ],
        "station": facts.station,
        "attributes": dict(facts.attributes),
    }


def _check_some(asset_ids: Sequence[str]) -> None:
    if isinstance(asset_ids, str) or not asset_ids:
        raise InvalidInput("asset_ids", asset_ids, "at least one asset id, in a list")
