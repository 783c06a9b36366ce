"""The route of training sets: a spine in, the same rows with their features out."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, post
from litestar.datastructures import State

from ai_hub.definitions.values import check_id
from ai_hub.definitions.vocabulary import read_missing
from ai_hub.errors import InvalidInput
from ai_hub.export.job import check_compression
from ai_hub.feature_store import FeatureStore
from ai_hub.http.body import while_connected
from ai_hub.http.room import needs
from ai_hub.intake.labels import format_of, read_labelled, write_labelled

_CELL = 3 * 8
"""Bytes of a value of the answer: computed, in the table, and written."""


@post("/training-set", status_code=200)
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
) -> Response[bytes]:
    """The rows of a spine in their order, each with its labels and the features as of its time.

    The answer is in the format of the body, or in `format`: parquet, arrow or csv.
    """
    store: FeatureStore = state.store
    check_id("tenant_id", tenant_id)
    chosen = store.specs.one_set(feature_set, None, model).feature_set
    check_compression(compression)
    features = len(chosen.features)
    columns = features * (1 + indicators) + len(horizons or ())
    most = needs(store.settings.max_body) // (_CELL * columns)
    body = await request.body()
    content_type = request.headers.get("content-type")

    def spine() -> object:
        table = read_labelled(content_type, body, bounded=True)
        if len(table) > most:
            expected = f"at most {most} rows with {columns} columns of features and targets"
            raise InvalidInput(
                "spine", f"{len(table)} rows", expected, "Send it in several bodies."
            )
        format_of(content_type, format)  # refused before anything is computed
        return table

    async def joined() -> Response[bytes]:
        # One at a time: it is in memory as a whole, also as it is written.
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
            written = await asyncio.to_thread(write_labelled, table, answered, compression)
        return Response(written, media_type=answered)

    return await while_connected(request.receive, joined())
