"""The floor of an answer cached on Redis: a bare ASGI endpoint with one GET or MGET of redis-py.

`python -m benchmarks.bare_redis PORT URL` answers `get` with what Redis has under `bare:{asset_id}`
and `batch` with `bare:head`, the `bare:part:{asset_id}` of each asset, and `bare:tail`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import redis.asyncio
import uvicorn

from benchmarks.bare import Batch, Get


def application(url: str) -> Callable[..., Awaitable[None]]:
    client = redis.asyncio.Redis.from_url(url)
    decode_get = msgspec.json.Decoder(Get).decode
    decode_batch = msgspec.json.Decoder(Batch).decode
    ends: list[bytes] = []

    async def app(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["method"] == "GET":
            body = b"{}"
            ends[:] = await client.mget("bare:head", "bare:tail")
        else:
            message = await receive()
            sent = message["body"]
            while message["more_body"]:
                message = await receive()
                sent += message["body"]
            if scope["path"].endswith("get"):
                body = await client.get(f"bare:{decode_get(sent).asset_id}")
            else:
                keys = [f"bare:part:{asset_id}" for asset_id in decode_batch(sent).asset_ids]
                body = ends[0] + b",".join(await client.mget(keys)) + ends[1]
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[2]),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
