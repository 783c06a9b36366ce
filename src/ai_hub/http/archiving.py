"""The routes of the archive: sealing history, what is sealed, and its end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litestar import Request, get, post
from litestar.datastructures import State

from ai_hub.definitions.values import parse_time, to_datetime
from ai_hub.errors import InvalidInput, named
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import ADMIN_ALL
from ai_hub.http.asked import body
from ai_hub.http.body import while_connected
from ai_hub.http.messages import ArchiveRequest, UnarchiveRequest
from ai_hub.http.paths import LONGEST_PATH
from ai_hub.storage.url import Url, is_url


@post("/archive", opt=ADMIN_ALL, status_code=200)
async def archive(request: Request[Any, Any, Any], state: State) -> dict[str, Any]:
    """Seal history before a time; answers when it is done, and goes on when it is asked again."""
    asked = await body(request, ArchiveRequest)
    store: FeatureStore = state.store
    archiving = store.archive(
        to_datetime(parse_time(asked.before, "before")),
        _allowed(asked.to, store.settings.export_root, store.settings.export_urls),
        asked.tenant_id,
        drop=asked.drop,
    )
    return await while_connected(request.receive, archiving)


@post("/unarchive", opt=ADMIN_ALL, status_code=200)
async def unarchive(request: Request[Any, Any, Any], state: State) -> dict[str, Any]:
    """Bring archived rows back and end the archive; goes on when it is asked again."""
    asked = await body(request, UnarchiveRequest)
    store: FeatureStore = state.store
    return await while_connected(request.receive, store.unarchive(lost=asked.lost))


@get("/archives", opt=ADMIN_ALL)
async def archives(state: State, tenant_id: str | None = None) -> dict[str, Any]:
    """What is sealed, of a tenant or of all."""
    store: FeatureStore = state.store
    return await store.archives(tenant_id)


def _allowed(to: str, root: Path, allowed: Sequence[str]) -> str:
    """A place below the folder of exports, or below a URL of those allowed. Raises InvalidInput.

    No link below that folder leads anywhere else.
    """
    if len(to) > LONGEST_PATH:
        raise InvalidInput("to", to, f"at most {LONGEST_PATH:,} characters")
    if not is_url(to):
        url, above = Url.of(root / to, "to"), [Url.of(root)]
        straight = os.path.join(os.path.realpath(root), Path(to))
        plain = ".." not in Path(to).parts and os.path.realpath(root / to) == straight
    else:
        url, above, plain = Url.of(to, "to"), [Url.of(one) for one in allowed], True
    if not plain or not any(url.is_below(one) and url != one for one in above):
        places = named([*allowed, "a folder in that of exports (AI_HUB_EXPORT_ROOT)"])
        raise InvalidInput("to", to, f"a place that the server allows: below {places}")
    return str(url)
