"""What was of some assets, of a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ai_hub.client.base import FEATURES, Asking, said, texts, time_of
from ai_hub.definitions.values import Time
from ai_hub.definitions.vocabulary import Missing, WeatherColumn

if TYPE_CHECKING:
    from ai_hub.export.history import History

_ARROW = "application/vnd.apache.arrow.stream"


class Histories(Asking):
    """Ranges of times, as frames and for charts."""

    async def chart(
        self,
        tenant_id: str,
        asset_id: str,
        start_time: Time,
        end_time: Time,
        *,
        feature_set: str,
        feature: str | None = None,
        weather: WeatherColumn | None = None,
        points: int = 800,
    ) -> dict[str, Any]:
        """The readings of an asset over [start_time, end_time] (of the set's series), thinned, one
        of the set's features and a column of weather, as plain values for a chart; times are
        seconds since 1970."""
        asked = said(
            tenant_id=tenant_id, asset_id=asset_id,
            start_time=time_of(start_time, "start_time", "up"),
            end_time=time_of(end_time, "end_time"), feature_set=feature_set, feature=feature,
            weather=weather, points=points,
        )  # fmt: skip
        return await self._ask("POST", "/chart", asked, safe=True, work=True)

    async def history(
        self,
        tenant_id: str,
        asset_ids: Sequence[str],
        start_time: Time,
        end_time: Time,
        *,
        series: Sequence[str] | None = None,
        feature_set: str | None = None,
        features: Sequence[str] | None = None,
        weather: bool | Sequence[str] = False,
        missing: Missing | None = None,
        indicators: bool = False,
        frequency: str | None = None,
        limit: int = 1_000_000,
        model: str | None = None,
    ) -> History:
        """Series, features and weather of some assets over [start_time, end_time], as a frame.

        At most a million rows, and as many bytes as the server takes in a body.
        """
        import asyncio
        import json

        import pyarrow as pa

        from ai_hub.export.history import History

        asked = said(
            tenant_id=tenant_id, asset_ids=texts(asset_ids),
            start_time=time_of(start_time, "start_time", "up"),
            end_time=time_of(end_time, "end_time"), series=texts(series, "series", "series"),
            feature_set=feature_set, features=texts(features, "features", "feature names"),
            weather=weather if isinstance(weather, bool)
            else texts(weather, "weather", "weather columns, or true for all"),
            missing=missing, indicators=indicators, frequency=frequency, limit=limit, model=model,
        )  # fmt: skip
        response = await self.connection.send(
            "POST",
            f"{FEATURES}/history",
            content=json.dumps(asked).encode(),
            content_type="application/json",
            accept=_ARROW,
            safe=True,
            work=True,
        )
        content = response.content
        return History(await asyncio.to_thread(lambda: pa.ipc.open_stream(content).read_all()))
