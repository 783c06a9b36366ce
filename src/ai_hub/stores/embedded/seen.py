"""Which assets a tenant has data of."""

from __future__ import annotations

from ai_hub.stores.embedded.session import Cursor


def assets_seen(cursor: Cursor, tenant_id: str, since: int, limit: int | None) -> list[str]:
    """The assets with a usable observation at or after a time, sorted; the first `limit`."""
    found = cursor.execute(
        "SELECT DISTINCT asset_id FROM ai_features WHERE tenant_id = ? "
        "AND timestamp >= make_timestamptz(?::BIGINT) ORDER BY asset_id LIMIT ?",
        [tenant_id, since, limit],
    )
    return [asset_id for (asset_id,) in found.fetchall()]
