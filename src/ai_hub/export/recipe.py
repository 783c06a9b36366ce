"""What rows of a training set are asked for: said once, and the same on every worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.freezing import frozen
from ai_hub.definitions.kinds import FromView
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.target import Horizon, Target
from ai_hub.definitions.values import (
    DEFAULT_SERIES,
    FIRST_INSTANT,
    LAST_INSTANT,
    Duration,
    TimeRange,
    to_micros,
)
from ai_hub.definitions.vocabulary import Missing, check_missing
from ai_hub.engines.plan import Plan
from ai_hub.errors import InvalidInput
from ai_hub.export.job import ExportJob, spine_job, targets_of
from ai_hub.export.parquet import feature_rows, schema_of
from ai_hub.export.rows import Rows
from ai_hub.export.training_set import training_set
from ai_hub.serving.spec import spec_of
from ai_hub.stores.base import ScanRequest
from ai_hub.stores.tables import Tables

Window = tuple[int, int]
"""The first and the last instant whose rows a worker gives out, in microseconds."""

_ALWAYS = TimeRange(FIRST_INSTANT, LAST_INSTANT)


@dataclass(frozen=True)
class Recipe:
    """A feature set and what is to become of it: policy, targets, indicators, which times.

    Rows stand at every observation time of the set's series in the range, or at every step of
    `frequency` from its start on; or they are those of a spine (`has_spine`), whose own column
    `value`, if it has one, takes the place of the series at t (`has_value` is false then).
    """

    feature_set: FeatureSet
    missing: Missing | None = None
    targets: tuple[Target, ...] = ()
    indicators: bool = False
    frequency: Duration | None = None
    range: TimeRange = _ALWAYS
    has_spine: bool = False
    has_value: bool = True

    @classmethod
    def of(
        cls,
        feature_set: FeatureSet | str,
        *,
        horizons: Sequence[Horizon] = (),
        missing: object = None,
        indicators: bool = False,
        frequency: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        spine: Sequence[str] | None = None,
    ) -> Recipe:
        """The recipe that a caller describes: a set, or the name of a built-in one, aware times,
        and the names of a spine's columns.

        Raises InvalidInput naming the field, UnknownFeatureSet.
        """
        chosen = Registry().get(feature_set) if isinstance(feature_set, str) else feature_set
        views = [f.name for f in chosen.features if isinstance(f, FromView)]
        if views:
            raise InvalidInput(
                "feature_set",
                views,
                "a set without features of views, which only the database that has them can read",
                "Export it with the local engine.",
            )
        given = {"frequency": frequency, "start_time": start_time, "end_time": end_time}
        for field, value in given.items():
            if spine is not None and value is not None:
                raise InvalidInput(field, value, "none with a spine, which says each row")
            if frequency is not None and value is None:
                raise InvalidInput(
                    field, value, "a time: the steps of frequency begin and end there"
                )
        found = cls(
            frozen(chosen),
            None if missing is None else check_missing(missing),
            targets_of(horizons),
            indicators,
            None if frequency is None else Duration.of(frequency, "frequency"),
            TimeRange(
                FIRST_INSTANT if start_time is None else to_micros(start_time, "start_time", "up"),
                LAST_INSTANT if end_time is None else to_micros(end_time, "end_time"),
            ),
            spine is not None,
            "value" not in (spine or ()),
        )
        found._check(spine or ())
        return found

    @property
    def has_rows_of_observations(self) -> bool:
        """Whether each row is an observation, so that none is without a `value`."""
        return self.frequency is None and not self.has_spine

    def _check(self, spine: Sequence[str]) -> None:
        job = ExportJob(self.rows("any"), self.range, frequency=self.frequency)
        taken = job.rows.taken()
        wrong = [name for name in spine if name in taken]
        if wrong:
            expected = "labels whose names no feature, no target and no <feature>__missing has"
            raise InvalidInput("spine", wrong, expected)

    def rows(self, tenant_id: str) -> Rows:
        """What each row has."""
        plan = Plan.of(self.feature_set)
        return Rows(tenant_id, plan, self.missing, self.targets, self.indicators, self.has_value)

    def needs(self, window: Window | None = None) -> ScanRequest:
        """The history that its rows need, those of a window of them, or all."""
        start, end = window or (self.range.start, self.range.end)
        return self.rows("any").scan_request(start, end, None, self.frequency is not None)

    def check_series(self, several: bool) -> None:
        """Observations that do not say their series are of the default one. Raises InvalidInput."""
        wanted = [name for name in self.needs().series if name != DEFAULT_SERIES]
        if wanted and not several:
            expected = f"a column feature_type, since the set reads the series {', '.join(wanted)}"
            raise InvalidInput("observations", "no column feature_type", expected)

    def batches(
        self,
        tenant_id: str,
        tables: Tables,
        spine: pa.Table | None = None,
        window: Window | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of some assets, or of those a window of the range, in the columns of an export.

        `tables` hold all that these rows read. Rows come by asset and time, those of a spine in
        its order. Raises InvalidInput, and OutOfRange for a set that rejects values outside their
        range.
        """
        if spine is not None:
            spec = spec_of(self.feature_set, self.missing)
            job = spine_job(spec, tenant_id, spine, self.targets, self.indicators)
            found = training_set(job, tables.scan).to_arrow()
            yield from _plain(found.replace_schema_metadata()).to_batches()
            return
        rows = self.rows(tenant_id)
        wanted = ExportJob(rows, self.range, frequency=self.frequency)
        first, last = window or (FIRST_INSTANT, LAST_INSTANT)
        start, end = max(self.range.start, first), min(self.range.end, last)
        if start > end:
            return
        schema = schema_of(wanted)
        request = rows.scan_request(start, end, None, self.frequency is not None)
        for chunk in tables.scan(request):
            for points in wanted.points(chunk):
                if len(points):
                    yield from _plain(feature_rows(wanted, schema, chunk, points)[0]).to_batches()


def _plain(table: pa.Table) -> pa.Table:
    """Ids as texts: engines that take rows take no dictionaries."""
    plain = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(plain))
