"""The routes on Litestar, which describes them in OpenAPI.

`get` and `batch` are mostly answered before the framework (see hot.py), by the same code.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from typing import Any

from litestar import Litestar, MediaType, Request, Response, Router, get, post, put
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException

from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import check_id, parse_time, to_datetime
from ai_hub.errors import AiHubError, InvalidInput, shown
from ai_hub.export.turns import Turns
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import NOTHING, READ, READ_ALL, WRITE, Access, check_need
from ai_hub.http.archiving import archive, archives, unarchive
from ai_hub.http.asked import body as _body
from ai_hub.http.asked import check_once, grant_of, whole
from ai_hub.http.audit import audit
from ai_hub.http.body import FAULT, ClientLeft, Reply, refusal, while_connected
from ai_hub.http.charting import chart
from ai_hub.http.definitions import (
    apply,
    feature_set,
    feature_set_version,
    feature_sets,
    plan,
    retire,
    rollout,
    set_default,
)
from ai_hub.http.docs import page
from ai_hub.http.doctor import doctor
from ai_hub.http.drift import drift, drift_baseline
from ai_hub.http.explaining import AT_ONCE, explain
from ai_hub.http.exporting import export, export_by_id, exports, resume_export
from ai_hub.http.history import AT_ONCE as HISTORIES
from ai_hub.http.history import history
from ai_hub.http.hot import HotRoutes, health_of
from ai_hub.http.ingest import ingest_attributes, ingest_observations, ingest_weather
from ai_hub.http.keys import keys, revoke_key
from ai_hub.http.messages import (
    BatchRequest,
    CacheRequest,
    GetRequest,
    Problem,
    WarmRequest,
    WeatherSourceRequest,
    encode,
    in_words,
)
from ai_hub.http.models import bind_model, models, unbind_model
from ai_hub.http.openapi import document
from ai_hub.http.pages import PAGE_ROUTES, refused_page
from ai_hub.http.removal import delete
from ai_hub.http.room import Rooms
from ai_hub.http.session import HEADERS, is_page
from ai_hub.http.training import training_set
from ai_hub.http.watch import Watch

_log = logging.getLogger(__name__)

_Asked = Request[Any, Any, Any]


@post("/get", opt=READ, status_code=200)
async def get_features(request: _Asked, state: State) -> Response[bytes]:
    """The features of one entity as of a time (now, when none is given)."""
    data = await _body(request, GetRequest)
    answer = await state.hot.answer_get(data, grant_of(request))
    return Response(answer, media_type=MediaType.JSON)


@post("/batch", opt=READ, status_code=200)
async def get_batch(request: _Asked, state: State) -> Response[bytes]:
    """The features of 1 to 1,000 entities of one tenant, in one read."""
    data = await _body(request, BatchRequest)
    answer = await state.hot.answer_batch(data, grant_of(request))
    return Response(answer, media_type=MediaType.JSON)


@put("/weather-sources", opt=WRITE)
async def weather_sources(request: _Asked, state: State) -> dict[str, Any]:
    """Let assets take their weather from a station that they share, from a time on."""
    data = await _body(request, WeatherSourceRequest)
    store: FeatureStore = state.store
    since = data.valid_from
    valid_from = None if since is None else to_datetime(parse_time(since, "valid_from", "up"))
    # One at a time: what is ingested meanwhile lands in between.
    async with state.mapping:
        changed = await store.assign_weather_source(
            tenant_id=data.tenant_id,
            source_id=data.source_id,
            asset_ids=data.asset_ids,
            valid_from=valid_from,
        )
    return {
        "tenant_id": data.tenant_id,
        "source_id": data.source_id,
        "assets": len(set(data.asset_ids)),
        "changed": changed,
    }


@post("/cache/warm", opt=READ, status_code=200)
async def warm(request: _Asked, state: State) -> dict[str, int]:
    """Have vectors ready, now's by default: of some assets or all, of a set or every one."""
    data = await _body(request, WarmRequest)
    store: FeatureStore = state.store
    at = None if data.timestamp is None else to_datetime(parse_time(data.timestamp))

    async def warmed() -> dict[str, int]:
        # One at a time: each keeps the database as busy as it may.
        async with state.warming:
            return await store.warm_feature_cache(
                data.tenant_id, data.asset_ids, data.feature_set, at
            )

    return await while_connected(request.receive, warmed())


@get("/assets", opt=READ)
async def assets(
    state: State,
    tenant_id: str | None = None,
    details: bool = False,
    since: str | None = None,
    after: str | None = None,
    limit: str | None = None,
    search: str | None = None,
) -> dict[str, Any]:
    """The assets of a tenant that were seen in the last day; with `details`, or one of the others,
    a page of all, with what is known of each."""
    store: FeatureStore = state.store
    tenant = check_id("tenant_id", tenant_id)
    if not details and (since, after, limit, search) == (None,) * 4:
        return {"tenant_id": tenant, "asset_ids": await store.seen_assets(tenant)}
    first = None if since is None else to_datetime(parse_time(since, "since", "up"))
    most = 100 if limit is None else whole(limit, "limit")
    page = await store.assets(tenant, first, after=after, limit=most or 0, search=search)
    return {"tenant_id": tenant, **page}


@get("/tenants", opt=READ)
async def tenants(request: _Asked, state: State, limit: str | None = None) -> dict[str, list[str]]:
    """The tenants that have data, or those that the key is for."""
    most = 1_000 if limit is None else whole(limit, "limit")
    store: FeatureStore = state.store
    return {"tenants": await store.tenants(grant_of(request), limit=most or 0)}


@get("/freshness", opt=READ)
async def freshness(
    state: State, tenant_id: str | None = None, limit: str | None = None
) -> dict[str, Any]:
    """How new the data of a tenant is, and the assets whose newest reading is the oldest."""
    most = 50 if limit is None else whole(limit, "limit")
    store: FeatureStore = state.store
    return await store.freshness(check_id("tenant_id", tenant_id), most or 0)


@post("/cache/invalidate", opt=WRITE, status_code=200)
async def invalidate(request: _Asked, state: State) -> dict[str, int]:
    """Forget the cached vectors of some assets, of one set or all."""
    data = await _body(request, CacheRequest)
    store: FeatureStore = state.store

    async def forgotten() -> dict[str, int]:
        # One at a time: each keeps the cache as busy as it may.
        async with state.forgetting:
            return await store.invalidate_feature_cache(
                data.tenant_id, asset_ids=data.asset_ids, feature_set=data.feature_set
            )

    return await while_connected(request.receive, forgotten())


@get("/cache/stats", opt=READ_ALL)
async def cache_stats(state: State) -> dict[str, Any]:
    """What the cache holds, and its hit rate."""
    store: FeatureStore = state.store
    stats = await store.cache_stats()
    return {**asdict(stats), "hit_rate": stats.hit_rate}


@get("/status", opt=READ_ALL)
async def status(state: State, exact: bool = False) -> dict[str, Any]:
    """What the database is like: its size, its tables, and the series of every tenant."""
    store: FeatureStore = state.store
    return await store.status(exact)


@get("/health", opt=NOTHING)
async def health(state: State) -> dict[str, str]:
    """That the server is alive, which database it holds, and the step of its times."""
    return health_of(state.store)


@get("/health/ready", opt=NOTHING)
async def ready(state: State) -> Response[dict[str, Any]]:
    """How each part of the service is, and whether requests can be answered right."""
    status, found = await state.watch.readiness()
    return Response(found, status_code=status)


@get("/metrics", opt=READ, media_type=MediaType.TEXT)
async def metrics(request: _Asked, state: State) -> Response[bytes]:
    """What was counted, for Prometheus."""
    body, content_type = await state.watch.exposition(grant_of(request))
    return Response(body, media_type=content_type.decode())


@get("/docs", opt=READ, media_type=MediaType.HTML)
async def docs(state: State) -> Response[bytes]:
    """Every route, for people."""
    return Response(
        state.described.page(state.store.registry), media_type=MediaType.HTML, headers=HEADERS
    )


@get("/docs/openapi.json", opt=READ)
async def openapi(state: State) -> Response[bytes]:
    """Every route, for programs."""
    found = state.described.openapi(state.store.registry)
    return Response(found, media_type=MediaType.JSON)


def _response(reply: Reply) -> Response[bytes]:
    status, content_type, body = reply
    return Response(body, status_code=status, media_type=content_type.decode())


def _on_error(request: _Asked, error: AiHubError) -> Response[bytes]:
    shown_page = refused_page(request, error) if is_page(request.scope["path"]) else None
    return shown_page or _response(refusal(error))


def _on_leaving(request: _Asked, error: ClientLeft) -> Response[bytes]:
    """Nobody reads it; the metrics count it."""
    return Response(b"", status_code=499)


def _on_refusal(request: _Asked, error: HTTPException) -> Response[bytes]:
    """What the framework refuses, said as everything else is: field, value and expectation."""
    path = request.scope["path"]
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        wrong: dict[str, Any] = error.extra[0]
        name = wrong.get("key", "query")
        value = request.query_params.get(name)
        return _on_error(request, InvalidInput(name, value, in_words(wrong["message"])))
    problem = Problem(error.detail)
    if error.status_code == 404:
        problem = Problem(f"path: got {shown(path)}, expected one that /docs lists", "path")
    elif error.status_code == 405:
        expected_one = f"another for {shown(path)}; /docs lists them"
        problem = Problem(f"method: got {request.method}, expected {expected_one}", "method")
    return Response(
        encode(problem),
        status_code=error.status_code,
        headers=error.headers,
        media_type=MediaType.JSON,
    )


def _on_fault(request: _Asked, error: Exception) -> Response[bytes]:
    """A fault of ours: the log has the why."""
    told = {"method": request.method, "path": request.scope["path"]}
    _log.error("request failed", exc_info=error, extra=told)
    return _response(FAULT)


class _Described:
    """The description of the routes, made anew when the registry is another one: it names sets."""

    def __init__(self) -> None:
        self._of: Registry | None = None
        self._openapi = self._page = b""

    def openapi(self, registry: Registry) -> bytes:
        """For programs."""
        self._made(registry)
        return self._openapi

    def page(self, registry: Registry) -> bytes:
        """For people."""
        self._made(registry)
        return self._page

    def _made(self, registry: Registry) -> None:
        if self._of is not registry:
            described = document(registry)
            self._openapi, self._page, self._of = encode(described), page(described), registry


def build(
    store: FeatureStore, hot: HotRoutes, rooms: Rooms, watch: Watch, access: Access
) -> Litestar:
    """The framework's application on an open feature store."""
    features = Router(
        "/ai/features",
        route_handlers=[
            get_features,
            get_batch,
            explain,
            history,
            chart,
            feature_sets,
            feature_set,
            feature_set_version,
            plan,
            apply,
            retire,
            set_default,
            rollout,
            models,
            bind_model,
            unbind_model,
            keys,
            revoke_key,
            audit,
            delete,
            archive,
            archives,
            unarchive,
            ingest_observations,
            ingest_weather,
            ingest_attributes,
            weather_sources,
            export,
            exports,
            export_by_id,
            resume_export,
            training_set,
            drift,
            drift_baseline,
            tenants,
            assets,
            freshness,
            warm,
            invalidate,
            cache_stats,
            status,
            doctor,
        ],
    )
    return Litestar(
        [features, health, ready, metrics, docs, openapi, *PAGE_ROUTES],
        state=State(
            {
                "store": store,
                "hot": hot,
                "rooms": rooms,
                "watch": watch,
                "access": access,
                "described": _Described(),
                "mapping": asyncio.Semaphore(1),
                "warming": asyncio.Semaphore(1),
                "forgetting": asyncio.Semaphore(1),
                "explaining": asyncio.Semaphore(AT_ONCE),
                "looking": asyncio.Semaphore(HISTORIES),
                "showing": asyncio.Semaphore(AT_ONCE),
                "examining": asyncio.Semaphore(1),
                "training_turns": Turns(1, store.settings.export_queue),
            }
        ),
        exception_handlers={
            AiHubError: _on_error,
            ClientLeft: _on_leaving,
            HTTPException: _on_refusal,
            Exception: _on_fault,
        },
        guards=[check_need, check_once],
        request_max_body_size=None,
        logging_config=None,
        openapi_config=None,
    )
