"""What a request of the framework's routes says, as a typed value."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from litestar import Request

from ai_hub.http.body import BODY
from ai_hub.http.hot import LARGE
from ai_hub.http.messages import decode

_T = TypeVar("_T")


async def body(request: Request[Any, Any, Any], into: type[_T]) -> _T:
    """What a body says. Raises Malformed, or InvalidInput naming the field."""
    content: bytes = request.scope[BODY]  # type: ignore[literal-required]
    if len(content) > LARGE:
        return await asyncio.to_thread(decode, content, into)
    return decode(content, into)
