"""What an export is asked for, checked, and what it must read for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

import numpy as np

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Missing
from ai_hub.definitions.values import Duration, TimeRange, check_id, to_micros
from ai_hub.engines.arrays import Ints, Points
from ai_hub.engines.plan import FILL_WINDOW, Plan, sources_for
from ai_hub.errors import InvalidInput
from ai_hub.export.spine import spine_of
from ai_hub.serving.spec import Spec
from ai_hub.stores.base import Chunk, ScanRequest

Compression = Literal["snappy", "zstd"]
_COMPRESSIONS = ("snappy", "zstd")
_PART_ROWS = 131_072
_MOST_STEPS = 100_000_000


@dataclass(frozen=True)
class ExportJob:
    """A feature set for a range of times, as a table.

    Rows stand at every observation time of the set's series, at every step of `frequency` from the
    start on, or at the times of `spine` (asset -> sorted microseconds). `horizons` add targets,
    `indicators` a column for each feature that says where it was missing.
    """

    tenant_id: str
    plan: Plan
    range: TimeRange
    asset_ids: tuple[str, ...] | None = None
    missing: Missing | None = None
    compression: Compression = "snappy"
    horizons: tuple[Duration, ...] = ()
    indicators: bool = False
    frequency: Duration | None = None
    spine: Mapping[str, Ints] | None = None

    def __post_init__(self) -> None:
        if self.compression not in _COMPRESSIONS:
            raise InvalidInput("compression", self.compression, "one of snappy, zstd")
        if self.frequency is not None and self.spine is not None:
            raise InvalidInput("frequency", str(self.frequency), "either frequency or spine")
        if self.frequency is not None:
            steps = (self.range.end - self.range.start) // self.frequency.micros
            if steps > _MOST_STEPS:
                raise InvalidInput(
                    "frequency",
                    str(self.frequency),
                    f"at most {_MOST_STEPS:,} steps for each asset, and these would be {steps:,}",
                )
        if len(set(self.horizons)) < len(self.horizons):
            raise InvalidInput("horizons", [str(h) for h in self.horizons], "each horizon once")

    @classmethod
    def of(
        cls,
        spec: Spec,
        tenant_id: str,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        asset_ids: Sequence[str] | None = None,
        compression: str = "snappy",
        horizons: Sequence[str] = (),
        indicators: bool = False,
        frequency: str | None = None,
        spine: object = None,
    ) -> ExportJob:
        """The job that a caller describes: aware times, widths such as "24h", a table as spine.

        A spine sets the times by itself. Raises InvalidInput naming the field.
        """
        start = None if start_time is None else to_micros(start_time, "start_time", "up")
        end = None if end_time is None else to_micros(end_time, "end_time")
        check_id("tenant_id", tenant_id)
        if asset_ids is not None:
            if isinstance(asset_ids, str) or not asset_ids:
                raise InvalidInput("asset_ids", asset_ids, "at least one asset id, or none for all")
            asset_ids = tuple(dict.fromkeys(check_id("asset_ids", one) for one in asset_ids))
        rows = None if spine is None else spine_of(spine)
        if rows is not None:
            start = min(int(times[0]) for times in rows.values())
            end = max(int(times[-1]) for times in rows.values()) + 1
        if start is None or end is None:
            field = "start_time" if start is None else "end_time"
            raise InvalidInput(field, None, "a time (or a spine, which sets the times)")
        return cls(
            tenant_id,
            spec.plan,
            TimeRange(start, end),
            asset_ids,
            spec.missing,
            cast(Compression, compression),
            tuple(Duration.of(horizon, "horizons") for horizon in horizons),
            indicators,
            None if frequency is None else Duration.of(frequency, "frequency"),
            rows,
        )

    @property
    def feature_set(self) -> FeatureSet:
        """The features of each row."""
        return self.plan.feature_set

    def scan_request(self) -> ScanRequest:
        """The history it needs: windows and fills before the start, targets beyond the end."""
        sources = sources_for(self.plan, self.missing)
        fills = any(source.kind == "series" for source in sources)
        weather = any(source.kind == "weather" for source in sources)
        return ScanRequest(
            self.tenant_id,
            self.asset_ids if self.spine is None else tuple(sorted(self.spine)),
            self.range.start,
            self.range.end,
            tuple(dict.fromkeys((self.feature_set.series, *self.plan.series))),
            self.plan.weather,
            max(self.plan.lookback, FILL_WINDOW if fills else 0),
            max(self.plan.weather_lookback, FILL_WINDOW if weather else 0),
            max((horizon.micros for horizon in self.horizons), default=0),
        )

    def points(self, chunk: Chunk) -> Iterator[Points]:
        """Where a chunk has rows, in parts of bounded size, by ascending asset and time."""
        if self.spine is None and self.frequency is None:
            series = chunk.history.series[self.feature_set.series]
            inside = (series.time >= chunk.start) & (series.time <= chunk.end)
            if inside.all():
                yield Points(series.code, series.time)
            else:
                yield Points(series.code[inside], series.time[inside])
            return
        held: list[Points] = []
        for code, asset_id in enumerate(chunk.asset_ids):
            for times in self._times(asset_id, chunk):
                held.append(Points(np.full(len(times), code), times))
                if sum(map(len, held)) >= _PART_ROWS:
                    yield _joined(held)
                    held = []
        if held:
            yield _joined(held)

    def _times(self, asset_id: str, chunk: Chunk) -> Iterator[Ints]:
        """The times of one asset's rows in a chunk, as the spine or the frequency says."""
        if self.spine is not None:
            times = self.spine[asset_id]
            times = times[(times >= chunk.start) & (times <= chunk.end)]
            for first in range(0, len(times), _PART_ROWS):
                yield times[first : first + _PART_ROWS]
        elif self.frequency is not None:
            step = self.frequency.micros
            late = -(-(chunk.start - self.range.start) // step) * step
            for first in range(self.range.start + late, chunk.end + 1, step * _PART_ROWS):
                last = min(first + step * _PART_ROWS, chunk.end + 1)
                yield np.arange(first, last, step, dtype=np.int64)


def _joined(parts: Sequence[Points]) -> Points:
    return Points(
        np.concatenate([part.code for part in parts]), np.concatenate([part.time for part in parts])
    )
