"""The floor of a cached answer: a bare ASGI endpoint that decodes a body and looks bytes up.

`python -m benchmarks.bare PORT FILE` serves what FILE holds: JSON with the answer to `get` and, for
`batch`, its head, its tail and the part of each asset.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvicorn


class Get(msgspec.Struct):
    tenant_id: str
    asset_id: str
    feature_set: str
    timestamp: str


class Batch(msgspec.Struct):
    tenant_id: str
    asset_ids: list[str]
    feature_set: str
    timestamp: str


class Answers(msgspec.Struct):
    asset_id: str
    get: str
    head: str
    tail: str
    parts: dict[str, str]


def application(answers: Answers) -> Callable[..., Awaitable[None]]:
    kept = {answers.asset_id: answers.get.encode()}
    parts = {asset_id: part.encode() for asset_id, part in answers.parts.items()}
    head, tail = answers.head.encode(), answers.tail.encode()
    decode_get = msgspec.json.Decoder(Get).decode
    decode_batch = msgspec.json.Decoder(Batch).decode

    async def app(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["method"] == "GET":
            body = b"{}"
        else:
            message = await receive()
            sent = message["body"]
            while message["more_body"]:
                message = await receive()
                sent += message["body"]
            if scope["path"].endswith("get"):
                body = kept[decode_get(sent).asset_id]
            else:
                asset_ids = decode_batch(sent).asset_ids
                body = head + b",".join([parts[asset_id] for asset_id in asset_ids]) + tail
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


if __name__ == "__main__":
    answers = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Answers)
    uvicorn.run(
        application(answers),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
