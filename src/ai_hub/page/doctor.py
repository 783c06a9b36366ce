"""Doctor: what is wrong with the service, and the command that mends each of it."""

from __future__ import annotations

from typing import Any

from ai_hub.page.asked import Asked

_ORDER = ("fault", "warning", "ok")


async def view(asked: Asked, tenant: str | None) -> dict[str, Any]:
    """The lines, the worst first; about data those of all tenants, or of the one that is named."""
    lines = [line.document for line in await asked.store.doctor(asked.word("tenant_id"))]
    return {
        "of": asked.word("tenant_id"),
        "lines": sorted(lines, key=lambda line: _ORDER.index(line["state"])),
        "counts": {state: sum(line["state"] == state for line in lines) for state in _ORDER},
    }
