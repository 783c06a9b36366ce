"""The route of histories: what was of some assets over a range, as JSON or as a table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

from litestar import Request, post
from litestar.datastructures import State
from litestar.response.base import ASGIResponse

from ai_hub.allocation import give_back
from ai_hub.definitions.values import check_count, iso, to_micros
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.errors import InvalidInput
from ai_hub.export.history import History
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import READ
from ai_hub.http.asked import body, in_full
from ai_hub.http.body import while_connected
from ai_hub.http.files import FileAnswer, written
from ai_hub.http.messages import HistoryRequest, encode
from ai_hub.intake.labels import FORMATS, write_labelled

AT_ONCE = 1
"""Histories at a time: each is in memory as a whole."""
MOST_ROWS = 1_000_000
MOST_IN_JSON = 100_000
_JSON = "application/json"
_CELL = 8
_PART_ROWS = 1_000


@post("/history", opt=READ, status_code=200)
async def history(request: Request[Any, Any, Any], state: State) -> ASGIResponse:
    """Series, features and weather of some assets over a range, a row for each time of any."""
    asked = await body(request, HistoryRequest)
    store: FeatureStore = state.store
    kind = answered_in(request.headers.getall("accept", []))
    limit = check_count("limit", in_full(asked.limit), MOST_ROWS)
    if kind == _JSON:
        limit = min(limit, MOST_IN_JSON)

    async def looked() -> ASGIResponse:
        async with state.looking:
            found = await store.history(
                asked.tenant_id,
                asked.asset_ids,
                asked.start_time,
                asked.end_time,
                series=asked.series,
                feature_set=asked.feature_set,
                features=asked.features,
                weather=asked.weather,
                missing=asked.missing,  # type: ignore[arg-type]  # checked by the front
                indicators=asked.indicators,
                frequency=asked.frequency,
                limit=min(limit, _fitting(store, asked)),
                model=asked.model,
            )
            write = partial(_write, found, kind)
            file = await written(store.settings, write)
            del found, write
            await asyncio.to_thread(give_back)
        return FileAnswer(file, kind)

    return await while_connected(request.receive, looked())


def answered_in(accept: list[str]) -> str:
    """The content type of an answer, by what a client accepts: JSON unless it prefers a table.

    Raises InvalidInput where it takes none that there is.
    """
    ranges = [one for line in accept for one in line.split(",") if one.strip()]
    wanted: list[tuple[float, str]] = []
    for one in ranges:
        name, *parameters = (part.strip().lower() for part in one.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        for known in (_JSON, *FORMATS.values()):
            if name in (known, "*/*", f"{known.partition('/')[0]}/*"):
                wanted.append((_number(weight), known))
                break
    wanted = [one for one in wanted if one[0] > 0]
    if ranges and not wanted:
        expected = f"one of {', '.join((_JSON, *FORMATS.values()))}"
        raise InvalidInput("accept", ", ".join(accept), expected)
    return max(wanted, key=lambda one: one[0], default=(1.0, _JSON))[1]


def _number(weight: str) -> float:
    try:
        return float(weight)
    except ValueError:
        return 0.0


def _fitting(store: FeatureStore, asked: HistoryRequest) -> int:
    """How many rows have room in what the largest body has."""
    features = len(asked.features or ())
    if asked.feature_set is not None or asked.model is not None:
        chosen = store.specs.one_set(asked.feature_set, None, asked.model).feature_set
        features = len(chosen.features)
    series = 1 if asked.series is None else len(asked.series)
    weather = len(WEATHER_COLUMNS) if asked.weather else 0
    columns = 2 + series + features * (1 + asked.indicators) + weather
    return max(1, store.settings.max_body // (_CELL * columns))


def _write(found: History, kind: str, path: str) -> None:
    if kind == _JSON:
        with open(path, "wb") as file:
            file.writelines(_json(found))
    else:
        write_labelled(found.to_arrow(), kind, path)


def _json(found: History) -> Iterator[bytes]:
    """A document of it, in parts."""
    said = found.metadata
    head = {
        "tenant_id": said["ai_hub.tenant_id"],
        "start_time": said["ai_hub.start_time"],
        "end_time": said["ai_hub.end_time"],
        "feature_set": said.get("ai_hub.feature_set") or None,
        "version": int(said["ai_hub.version"]) if said.get("ai_hub.version") else None,
        "series": found.series,
        "features": found.features,
        "weather": found.weather,
    }
    yield encode(head)[:-1] + b',"rows":['
    between = b""
    for batch in found.to_arrow().to_batches(max_chunksize=_PART_ROWS):
        rows = batch.to_pylist()
        for row in rows:
            row["timestamp"] = iso(to_micros(row["timestamp"]))
        if rows:
            yield between + encode(rows)[1:-1]
            between = b","
    yield b"]}"
