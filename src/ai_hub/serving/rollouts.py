"""Rollouts: which entities have a new version already, and what beginning and ending one writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from typing import Any

from ai_hub.definitions.values import iso
from ai_hub.errors import InvalidInput, RegistryConflict, UnknownRollout
from ai_hub.serving.registry_plan import BUILT_IN, registry_of
from ai_hub.stores.registry_table import RegistryChange, StoredRegistry, StoredRollout

PARTS = 10_000
"""Entities fall into so many parts, the first ones of which have the new version."""
_PERCENT = 100


def part_of(name: str, tenant_id: str, asset_id: str) -> int:
    """The part (from 0) that an entity falls into, the same for ever.

    The first 8 bytes of the SHA-256 of name, tenant and asset, a line each (without one at the
    end) in UTF-8, as a big-endian number, modulo 10,000.
    """
    text = f"{name}\n{tenant_id}\n{asset_id}"
    digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % PARTS


def share_of(percent: object) -> int:
    """Per cent, to the hundredth, as a number of parts. Raises InvalidInput."""
    if isinstance(percent, int | float) and not isinstance(percent, bool) and 0 <= percent <= 100:
        share = Decimal(str(percent)) * (PARTS // _PERCENT)
        if share == int(share):
            return int(share)
    raise InvalidInput("percent", percent, "a number from 0 to 100 with at most two decimals")


def begun(
    stored: StoredRegistry, name: str, to: object, percent: object, at: int, by: str
) -> RegistryChange:
    """What rolling a version out to a share of the entities writes; a rollout to it goes on.

    Raises InvalidInput, UnknownFeatureSet, RetiredFeatureSet, and RegistryConflict for the default
    version, or while one to another version is under way.
    """
    share, registry = share_of(percent), registry_of(BUILT_IN, stored)
    if not isinstance(to, int) or isinstance(to, bool):
        raise InvalidInput("to", to, "the number of a version, such as 2")
    if not isinstance(name, str) or "@" in name:
        raise InvalidInput("name", name, "the name of a feature set, without a version")
    default, chosen = registry.find(name), registry.get(f"{name}@{to}")
    if chosen == default:
        raise RegistryConflict("to", to, f"another version than the default one of {name}")
    known = next((one for one in stored.rollouts if one.name == name), None)
    if known is not None and known.to_version != to:
        raise RegistryConflict(
            "to",
            to,
            f"{known.to_version}, to which a rollout of {name} is under way",
            f"Finish or abort that first (ai-hub rollout {name} --finish, or --abort).",
        )
    row = known or StoredRollout(name, default.version or 0, to, -1, at, by)
    if row.share == share:
        return RegistryChange()
    return RegistryChange(rollouts=(replace(row, share=share),))


def finished(stored: StoredRegistry, name: str) -> RegistryChange:
    """What letting a name alone mean the new version writes. Raises UnknownRollout."""
    rollout = rollout_of(stored, name)
    return RegistryChange(defaults={name: rollout.to_version}, gone=(rollout,))


def aborted(stored: StoredRegistry, name: str) -> RegistryChange:
    """What ending a rollout, the default as it was, writes. Raises UnknownRollout."""
    return RegistryChange(gone=(rollout_of(stored, name),))


def rollout_of(stored: StoredRegistry, name: object) -> StoredRollout:
    """The rollout of a name. Raises UnknownRollout."""
    for one in stored.rollouts:
        if one.name == name:
            return one
    raise UnknownRollout(name)


def split_of(
    document: Mapping[str, Any], tenant_id: str, asset_ids: Iterable[str]
) -> dict[str, int]:
    """The version that each asset has under a rollout (as plain values), no store being asked."""
    name, share = document["feature_set"], share_of(document["percent"])
    versions = (document["from"], document["to"])
    return {one: versions[part_of(name, tenant_id, one) < share] for one in asset_ids}


def rollout_document(rollout: StoredRollout) -> dict[str, Any]:
    """A rollout as plain values."""
    return {
        "feature_set": rollout.name,
        "from": rollout.from_version,
        "to": rollout.to_version,
        "percent": rollout.share / (PARTS // _PERCENT),
        "begun_at": iso(rollout.begun_at),
        "begun_by": rollout.begun_by,
    }
