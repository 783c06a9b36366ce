"""The routes of definitions: what there is, what applying a document would change, and changes."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State

from ai_hub.definitions.document import read_document
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import check_text
from ai_hub.errors import InvalidInput
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import ADMIN_ALL, READ
from ai_hub.http.asked import body, in_full
from ai_hub.http.messages import DefinitionsRequest, FeatureSetRequest, RolloutRequest

_Asked = Request[Any, Any, Any]


@get("/sets", opt=READ)
async def feature_sets(state: State) -> dict[str, Any]:
    """Every feature set in every version, retired ones too."""
    store: FeatureStore = state.store
    return {"feature_sets": await asyncio.to_thread(store.listed)}


@get("/sets/{name:str}", opt=READ)
async def feature_set(name: str, state: State) -> dict[str, Any]:
    """One feature set, by `name` (its default version) or `name@version`."""
    store: FeatureStore = state.store
    return store.described(name)


@get("/sets/{name:str}/versions/{version:str}", opt=READ)
async def feature_set_version(name: str, version: str, state: State) -> dict[str, Any]:
    """One version of a feature set."""
    store: FeatureStore = state.store
    return store.described(f"{name}@{version}")


@post("/sets/plan", opt=ADMIN_ALL, status_code=200)
async def plan(request: _Asked, state: State) -> dict[str, Any]:
    """What applying a document of definitions would change, and what looks wrong with it."""
    store: FeatureStore = state.store
    wanted, _ = await _wanted(request)
    planned = await store.plan(wanted)
    return await asyncio.to_thread(planned.document)


@post("/sets/apply", opt=ADMIN_ALL, status_code=200)
async def apply(request: _Asked, state: State) -> dict[str, Any]:
    """Have every process serve the feature sets of a document, all of them or none."""
    store: FeatureStore = state.store
    wanted, applied_by = await _wanted(request)
    planned = await store.apply(wanted, applied_by)
    return await asyncio.to_thread(planned.document)


@post("/sets/retire", opt=ADMIN_ALL, status_code=200)
async def retire(request: _Asked, state: State) -> dict[str, Any]:
    """Serve a version of a feature set no more."""
    store: FeatureStore = state.store
    chosen = (await body(request, FeatureSetRequest)).feature_set
    await store.retire(chosen)
    return store.described(chosen)


@post("/sets/default", opt=ADMIN_ALL, status_code=200)
async def set_default(request: _Asked, state: State) -> dict[str, Any]:
    """Let the name of a feature set alone mean one of its versions."""
    store: FeatureStore = state.store
    chosen = (await body(request, FeatureSetRequest)).feature_set
    await store.set_default(chosen)
    return store.described(chosen)


@post("/sets/{name:str}/rollout", opt=ADMIN_ALL, status_code=200)
async def rollout(name: str, request: _Asked, state: State) -> dict[str, Any]:
    """Let the name alone mean a version for a percentage of the entities, or end that."""
    asked = await body(request, RolloutRequest)
    store: FeatureStore = state.store
    begins = asked.to is not None or asked.percent is not None
    if begins + asked.finish + asked.abort != 1:
        expected = "one of: to with percent, finish, or abort"
        raise InvalidInput("rollout", msgspec.to_builtins(asked), expected)
    if asked.finish:
        await store.finish_rollout(name)
    elif asked.abort:
        await store.abort_rollout(name)
    else:
        to, percent = asked.to, asked.percent
        if to is None or percent is None:
            field = "to" if to is None else "percent"
            raise InvalidInput(field, None, "a value: to and percent go together")
        # Of what is no whole number the front tells what is expected.
        version: Any = in_full(to)
        await store.roll_out(name, version, percent, asked.begun_by)
    return store.described(name)


async def _wanted(request: _Asked) -> tuple[tuple[FeatureSet, ...], str]:
    """The sets of a document, and who applies it."""
    asked = await body(request, DefinitionsRequest)
    document = {"schema": asked.schema, "feature_sets": asked.feature_sets}
    by = check_text("applied_by", asked.applied_by, 200)
    return await asyncio.to_thread(read_document, document), by
