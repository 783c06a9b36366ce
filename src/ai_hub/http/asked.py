"""What a request of the framework's routes says, as a typed value."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, TypeVar

from litestar import Request

from ai_hub.access.grant import Grant
from ai_hub.definitions.values import parse_time, to_datetime
from ai_hub.errors import InvalidInput
from ai_hub.http.body import BODY, GRANT
from ai_hub.http.hot import LARGE
from ai_hub.http.messages import decode

_T = TypeVar("_T")
_MOST_DIGITS = 19


async def body(request: Request[Any, Any, Any], into: type[_T]) -> _T:
    """What a body says. Raises Malformed, InvalidInput naming the field, or Forbidden for its
    tenant."""
    content: bytes = request.scope[BODY]  # type: ignore[literal-required]
    if len(content) > LARGE:
        said = await asyncio.to_thread(decode, content, into)
    else:
        said = decode(content, into)
    # What is about a tenant names it in its body, or leaves the one to be found that there is.
    tenant_id = getattr(said, "tenant_id", None)
    if tenant_id is not None:
        grant_of(request).check_tenant(tenant_id)
    return said


def time_of(text: str | None, field: str) -> datetime | None:
    """A bound of a time, [start, end); None where it is open. Raises InvalidInput."""
    return None if text is None else to_datetime(parse_time(text, field, "up"))


def whole(text: str | None, field: str) -> int | None:
    """A whole number of a query; None where it is not there. Raises InvalidInput."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise InvalidInput(field, text, "a whole number")
    return int(text)


def check_once(connection: Any, handler: Any) -> None:
    """Of a parameter that is no list, whether there is one value at most. Raises InvalidInput."""
    for name, kind in handler.parsed_fn_signature.parameters.items():
        values = connection.query_params.getall(name, [])
        kinds = (kind, *kind.inner_types)
        if len(values) > 1 and not any(one.is_non_string_collection for one in kinds):
            raise InvalidInput(name, values, "one value")


def grant_of(request: Request[Any, Any, Any]) -> Grant:
    """What a request may do."""
    grant: Grant = request.scope[GRANT]  # type: ignore[literal-required]
    return grant


def in_full(number: int | float) -> int | float:
    """A number of a body; in JSON 3.0 is whole, too."""
    return int(number) if number == int(number) else number
