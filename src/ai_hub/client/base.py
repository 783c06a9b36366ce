"""What every part of the client stands on: a connection, and values as requests say them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ai_hub.client.connection import Connection
from ai_hub.definitions.values import MAX_ASSETS, Rounding, Time, check_list, iso, to_micros

FEATURES = "/ai/features"


class Asking:
    """A server that may be asked."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, **how: Any
    ) -> dict[str, Any]:
        return await self.connection.ask(method, f"{FEATURES}{path}", body, **how)


def said(**members: Any) -> dict[str, Any]:
    """The members of a request that say something."""
    return {name: value for name, value in members.items() if value is not None}


def time_of(value: Time | None, field: str, rounding: Rounding = "down") -> str | None:
    """A time of a request, rounded as the store does. Raises InvalidInput."""
    return None if value is None else iso(to_micros(value, field, rounding))


def texts(
    values: Iterable[str] | None, field: str = "asset_ids", of_what: str = "asset ids"
) -> list[str] | None:
    """A list of texts of a request. Raises InvalidInput for what is no list."""
    return None if values is None else check_list(field, values, of_what, MAX_ASSETS)
