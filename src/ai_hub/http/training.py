"""The route of training sets: a spine in, the same rows with their features out."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from litestar import Request, post
from litestar.datastructures import State
from litestar.response.base import ASGIResponse

from ai_hub.allocation import give_back
from ai_hub.definitions.values import check_id
from ai_hub.definitions.vocabulary import read_missing
from ai_hub.errors import InvalidInput
from ai_hub.export.job import check_compression
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import EXPORT
from ai_hub.http.body import BODY, leave_room, share_of, while_connected
from ai_hub.http.files import FileAnswer, written
from ai_hub.http.room import Rooms, needs
from ai_hub.intake.labels import format_of, read_labelled, write_labelled

_CELL = 2 * 8
"""Bytes of a value of the answer: computed, and as it is written."""
_SHARE = 2
"""What is made of a spine may take what one of this part of the largest body may: with all that a
server has anyway it stays below a gigabyte."""
_ROW = 64
"""Bytes of a row of the spine beside its own: whose it is, when, and where it stood."""


@post("/training-set", opt=EXPORT, status_code=200)
async def training_set(
    request: Request[Any, Any, Any],
    state: State,
    tenant_id: str | None = None,
    feature_set: str | None = None,
    horizons: list[str] | None = None,
    missing: str | None = None,
    indicators: bool = False,
    compression: str = "snappy",
    format: str | None = None,  # the name of the parameter
    model: str | None = None,
) -> ASGIResponse:
    """The rows of a spine in their order, each with its labels and the features as of its time.

    The answer is in the format of the body, or in `format`: parquet, arrow or csv.
    """
    store: FeatureStore = state.store
    rooms: Rooms = state.rooms
    check_id("tenant_id", tenant_id)
    chosen = store.specs.one_set(feature_set, None, model).feature_set
    check_compression(compression)
    features = len(chosen.features)
    columns = features * (1 + indicators) + len(horizons or ())
    scope: Any = request.scope
    body: bytes = scope[BODY]
    content_type = request.headers.get("content-type")
    share, loop = share_of(scope, rooms), asyncio.get_running_loop()

    def have(count: int) -> None:
        asyncio.run_coroutine_threadsafe(share.have(count), loop).result()

    def spine() -> object:
        """In its turn, and in the thread of that."""
        if share.large:
            have(needs(len(body)))
        table = read_labelled(content_type, body, bounded=True)
        format_of(content_type, format)  # refused before anything is computed
        row = _ROW + _CELL * columns
        most = needs(store.settings.max_body // _SHARE)
        if row * len(table) > most:
            expected = f"at most {most // row} rows with {columns} columns of features and targets"
            raise InvalidInput(
                "spine", f"{len(table)} rows", expected, "Send it in several bodies."
            )
        taken = min(most, 2 * len(body) + row * len(table))
        if taken > needs(len(body)):
            have(taken)
        return table

    async def joined() -> ASGIResponse:
        if share.large:
            # Until it is its turn, nothing is made of it.
            await share.have(len(body))
        # One at a time: it is in memory as a whole.
        async with state.training_turns.turn():
            found = await store.get_training_set(
                spine,
                feature_set,
                tenant_id=tenant_id or "",
                horizons=horizons or (),
                missing=None if missing is None else read_missing(missing),
                indicators=indicators,
                model=model,
            )
            answered = format_of(content_type, format)
            table = found.to_arrow()
            del found
            write = partial(write_labelled, table, answered, compression=compression)
            file = await written(store.settings, write)
            del table, write
            await asyncio.to_thread(give_back)
        return FileAnswer(file, answered)

    answer = await while_connected(request.receive, joined())
    # Who reads it slowly keeps no room from others, nor the spine: it is on the disk.
    del scope[BODY]
    leave_room(scope)
    return answer
