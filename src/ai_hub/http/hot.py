"""The hot routes as thin ASGI handlers: decode, look up, splice stored bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from ai_hub import __version__
from ai_hub.access.grant import Grant
from ai_hub.definitions.values import iso, parse_time
from ai_hub.errors import AiHubError, OutOfRange
from ai_hub.feature_store import FeatureStore
from ai_hub.http.body import GRANT, JSON, Receive, Reply, Scope, read_body, refusal
from ai_hub.http.entries import Entries
from ai_hub.http.messages import BatchRequest, GetRequest, decode
from ai_hub.http.room import LITTLE, Rooms
from ai_hub.serving.assets import check_few
from ai_hub.serving.memory import MEMBERS_BYTES
from ai_hub.serving.reader import error_of
from ai_hub.serving.spec import Part, Spec

_quoted = msgspec.json.Encoder().encode
_decode_get = msgspec.json.Decoder(GetRequest).decode
_decode_batch = msgspec.json.Decoder(BatchRequest).decode
_R = TypeVar("_R")
LARGE = LITTLE
"""Bytes of a body beyond which it is parsed beside the event loop."""
_HIT = b',"cache_hit":true'
_MISS = b',"cache_hit":false'


def _request(decoder: Callable[[bytes], _R], body: bytes, into: type[_R]) -> _R:
    """A body as a request. Raises InvalidInput, in the words of `decode`."""
    try:
        return decoder(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decode(body, into)


def health_of(store: FeatureStore) -> dict[str, str]:
    """That the server is alive, which database it holds, and the step of its times."""
    return {
        "status": "ok",
        "version": __version__,
        "database": store.settings.database_name,
        "granularity": str(store.settings.granularity.step),
    }


class HotRoutes:
    """`get`, `batch` and `health` on an open feature store."""

    def __init__(self, store: FeatureStore, rooms: Rooms) -> None:
        self._store = store
        self._rooms = rooms
        self._limit = min(store.settings.max_request, store.settings.max_body)
        self._entries = Entries(MEMBERS_BYTES, store.settings.cache_ttl)
        self._truncate = store.settings.granularity.truncate
        self._health = _quoted(health_of(store))
        self.handlers = {
            ("POST", "/ai/features/get"): self.get,
            ("POST", "/ai/features/batch"): self.batch,
            ("GET", "/health"): self.health,
        }

    async def get(self, scope: Scope, receive: Receive) -> Reply:
        """`POST /ai/features/get`."""
        try:
            body = await read_body(scope, receive, self._limit, self._rooms)
            if len(body) > LARGE:
                asked = await asyncio.to_thread(_request, _decode_get, body, GetRequest)
            else:
                asked = _request(_decode_get, body, GetRequest)
            return 200, JSON, await self.answer_get(asked, scope[GRANT])
        except AiHubError as error:
            return refusal(error)

    async def batch(self, scope: Scope, receive: Receive) -> Reply:
        """`POST /ai/features/batch`."""
        try:
            body = await read_body(scope, receive, self._limit, self._rooms)
            if len(body) > LARGE:
                asked = await asyncio.to_thread(_request, _decode_batch, body, BatchRequest)
            else:
                asked = _request(_decode_batch, body, BatchRequest)
            return 200, JSON, await self.answer_batch(asked, scope[GRANT])
        except AiHubError as error:
            return refusal(error)

    async def health(self, scope: Scope, receive: Receive) -> Reply:
        """`GET /health`."""
        return 200, JSON, self._health

    async def answer_get(self, request: GetRequest, grant: Grant) -> bytes:
        """The answer to a request, a FeatureVector as JSON. Raises AiHubError."""
        grant.check_scope("read")
        grant.check_tenant(request.tenant_id)
        store = self._store
        spec = self._spec(request)
        if spec.split is not None:
            spec = spec.of_asset(request.tenant_id, request.asset_id)
        at = self._at(request.timestamp)
        ((value, hit),) = await store.found(spec, request.tenant_id, (request.asset_id,), at)
        if spec.rejects and (why := error_of(value)) is not None:
            raise OutOfRange(request.asset_id, iso(at), why)
        return b'{"tenant_id":%b,"asset_id":%b,"timestamp":"%b",%b%b,%b' % (
            _quoted(request.tenant_id),
            _quoted(request.asset_id),
            iso(at).encode(),
            spec.members,
            _HIT if hit else _MISS,
            value[1:],
        )

    async def answer_batch(self, request: BatchRequest, grant: Grant) -> bytes:
        """The answer to a request, a BatchVectors as JSON. Raises AiHubError."""
        grant.check_scope("read")
        grant.check_tenant(request.tenant_id)
        store, spec = self._store, self._spec(request)
        at = self._at(request.timestamp)
        asset_ids: Sequence[str] = request.asset_ids
        # Counted before anybody looks at them.
        check_few(asset_ids)
        if len(set(asset_ids)) < len(asset_ids):
            asset_ids = list(dict.fromkeys(asset_ids))
        if spec.split is not None:
            parts = spec.of_assets(request.tenant_id, asset_ids)
            if len(parts) > 1:
                return await self._answer_versions(parts, request.tenant_id, asset_ids, at)
            spec = parts[0][0] if parts else spec
        found = await store.found(spec, request.tenant_id, asset_ids, at)
        results = b",".join(self._entries.of(request.tenant_id, spec.field, at, asset_ids, found))
        return b'{"tenant_id":%b,"timestamp":"%b",%b,"results":{%b}}' % (
            _quoted(request.tenant_id),
            iso(at).encode(),
            spec.members,
            results,
        )

    async def _answer_versions(
        self, parts: Sequence[Part], tenant_id: str, asset_ids: Sequence[str], at: int
    ) -> bytes:
        """The answer for entities of two versions, each of which names its own: a read for each."""
        reads = (self._store.found(spec, tenant_id, some, at) for spec, some in parts)
        entries: dict[str, bytes] = {}
        for (spec, some), found in zip(parts, await asyncio.gather(*reads), strict=True):
            # Without the braces, nor the name of the set.
            own = spec.members[spec.members.index(b',"version":') :]
            members = self._entries.of(tenant_id, spec.field, at, some, found)
            for asset_id, member in zip(some, members, strict=True):
                entries[asset_id] = b"%b%b}" % (member[:-1], own)
        return (
            b'{"tenant_id":%b,"timestamp":"%b","feature_set":%b,"version":null,'
            b'"fingerprint":null,"policy":null,"results":{%b}}'
        ) % (
            _quoted(tenant_id),
            iso(at).encode(),
            _quoted(parts[0][0].feature_set.name),
            b",".join([entries[asset_id] for asset_id in asset_ids]),
        )

    def _spec(self, request: GetRequest | BatchRequest) -> Spec:
        of = self._store.specs.of
        if request.model is None:
            return of(request.feature_set, request.feature_names, request.missing)
        return of(request.feature_set, request.feature_names, request.missing, request.model)

    def _at(self, timestamp: str | None) -> int:
        at = self._store.now() if timestamp is None else parse_time(timestamp)
        return self._truncate(at)
