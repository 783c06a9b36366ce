"""What a feature store says of drift: whether what is served is still what a model learned on."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from ai_hub.access.grant import EVERYTHING, Grant
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import DAY, HOUR, Time, TimeRange, check_id, iso, to_micros
from ai_hub.drift.baseline import clock_features
from ai_hub.drift.compare import compare
from ai_hub.drift.report import report
from ai_hub.drift.sample import Sample, baseline_of
from ai_hub.drift.sketch import Sketch
from ai_hub.errors import InvalidInput, NoRows, UnknownBaseline
from ai_hub.export.baselines import made_of
from ai_hub.front.training_sets import TrainingSets
from ai_hub.stores.audit_log import noted
from ai_hub.stores.drift_table import SetOf, StoredBaseline, set_of

_WINDOW = 7 * DAY
_BASELINE = 365 * DAY
_SOURCES = ("served", "history")
_MOST_NAMED = 20


class Drift(TrainingSets):
    """Training sets, and how far from them the values are that are served now."""

    async def drift_baseline(
        self,
        tenant_id: str | None = None,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        *,
        model: str | None = None,
        by: Grant = EVERYTHING,
    ) -> dict[str, Any]:
        """Keep what the values of a set were in a time of history, as each export does of its rows.

        By default of the year before now, and of the one tenant with data of those of `by`. A
        `model` stands for the version that it is bound to. Gives the baseline as plain values.
        Raises NoRows where there are none, Busy and StoreError.
        """
        of, _ = await self._set_of(tenant_id, feature_set, model, by)
        end = self._at(end_time)
        start = end - _BASELINE if start_time is None else to_micros(start_time, "start_time", "up")
        times = TimeRange(start, end)
        sample = await self._history(of, times)
        if not sample.rows:
            raise _no_rows(of, times, "history")
        new = str(uuid.uuid4())
        made = await asyncio.to_thread(made_of, sample, of, times, self.now(), new, False)
        record = noted(
            "drift-baseline", of.tenant_id, made.row_count, None,
            feature_set=f"{of.feature_set}@{of.version}", baseline_id=new,
        )  # fmt: skip
        await self._open.store.drift_table.keep_baseline(made, [record])
        return {**_named(of), **_baseline(made)}

    async def drift(
        self,
        tenant_id: str | None = None,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        *,
        source: str | None = None,
        baseline_id: str | None = None,
        model: str | None = None,
        by: Grant = EVERYTHING,
    ) -> dict[str, Any]:
        """How far a set's values over at most seven days (by default the last ones) are from a
        baseline, feature by feature, as plain values: the newest one, or that of an export.

        The values are those that were `served`, or those that `history` gives for that time; by
        default the former where there are any. Without `tenant_id` it is the one tenant with data
        of those of `by`. Raises NoRows where there are none, UnknownBaseline, Busy and StoreError.
        """
        of, chosen = await self._set_of(tenant_id, feature_set, model, by)
        if baseline_id is not None:
            check_id("baseline_id", baseline_id)
        if source not in (None, *_SOURCES):
            raise InvalidInput("source", source, "served or history")
        times = self._times(start_time, end_time)
        stored = await self._kept_baseline(of, baseline_id)
        for used in _SOURCES if source is None else (source,):
            sketch = await (self._served if used == "served" else self._sampled)(of, times)
            if sketch is not None:
                break
        else:
            raise _no_rows(of, times, source)
        found = await asyncio.to_thread(_compared, stored, chosen, sketch, times.end)
        drifted = {
            **_named(of),
            "start_time": iso(times.start),
            "end_time": iso(times.end),
            "source": used,
            "rows": int(sketch.rows.max(0).sum()),
            "baseline": _baseline(stored),
            **found,
        }
        self.metrics.drifted(of.tenant_id, chosen.label, found["features"], self.now())
        return drifted

    async def drifting(self) -> list[SetOf]:
        """Of what vectors were served in the last seven days."""
        await self._open.served.flush()
        now = self.now()
        return await self._open.store.drift_table.served_sets(now - _WINDOW, now)

    async def _set_of(
        self, tenant_id: str | None, feature_set: str | None, model: str | None, by: Grant
    ) -> tuple[SetOf, FeatureSet]:
        if tenant_id is None:
            tenant_id = await self._only_tenant(by)
        check_id("tenant_id", tenant_id)
        chosen = self.specs.one_set(feature_set, None, model).feature_set
        of = set_of(tenant_id, chosen)
        assert of is not None  # a set by name has a version
        return of, chosen

    async def _only_tenant(self, by: Grant) -> str:
        """The tenant that is meant where none is named. Raises InvalidInput unless there is one."""
        if by.tenants is not None:
            known = sorted(by.tenants)
        else:
            known = await self._open.store.tenants(_MOST_NAMED + 1)
        if len(known) == 1:
            return known[0]
        more = ", ..." if len(known) > _MOST_NAMED else ""
        expected = (
            f"one of {', '.join(known[:_MOST_NAMED])}{more}" if known else "a tenant with data"
        )
        raise InvalidInput("tenant_id", None, expected, "Name it (--tenant on a command line).")

    def _times(self, start_time: Time | None, end_time: Time | None) -> TimeRange:
        end = self._at(end_time)
        start = end - _WINDOW if start_time is None else to_micros(start_time, "start_time", "up")
        if not start < end <= start + _WINDOW:
            expected = "a time before end_time, by at most seven days"
            raise InvalidInput("start_time", iso(start), expected)
        return TimeRange(start, end)

    async def _kept_baseline(self, of: SetOf, baseline_id: str | None) -> StoredBaseline:
        await self._open.exports.baselines.settle()
        table = self._open.store.drift_table
        found = await table.baseline(of, baseline_id)
        if found is None:
            known = [one.baseline_id for one in await table.baselines(of)]
            raise UnknownBaseline(baseline_id, f"{of.feature_set}@{of.version}", known)
        return found

    async def _served(self, of: SetOf, times: TimeRange) -> Sketch | None:
        await self._open.served.flush()
        first = times.start // HOUR * HOUR
        hours = await self._open.store.drift_table.served(of, first, times.end)
        return await asyncio.to_thread(_merged, [one.document for one in hours])

    async def _sampled(self, of: SetOf, times: TimeRange) -> Sketch | None:
        sample = await self._history(of, times)
        return await asyncio.to_thread(sample.sketch) if sample.rows else None

    async def _history(self, of: SetOf, times: TimeRange) -> Sample:
        """A sample of the rows that an export of a time would have, without those of its end: there
        the same hour of the week may begin again."""
        from ai_hub.export.job import ExportJob
        from ai_hub.export.rows import Rows

        spec = self.specs.of(f"{of.feature_set}@{of.version}")
        sample = Sample(spec.feature_set.feature_names)
        before = TimeRange(times.start, times.end - 1)
        job = ExportJob(Rows(of.tenant_id, spec.plan, spec.missing), before)
        await self._open.exports.sampled(job, sample)
        return sample


def _merged(documents: list[bytes]) -> Sketch | None:
    sketches = [Sketch.from_bytes(one) for one in documents]
    merged = Sketch.merged(sketches) if sketches else None
    return merged if merged is not None and merged.rows.any() else None


def _compared(
    stored: StoredBaseline, chosen: FeatureSet, current: Sketch, end: int
) -> dict[str, Any]:
    baseline = baseline_of(stored.document, clock_features(chosen.features))
    return report(compare(baseline, current, end), baseline, current)


def _no_rows(of: SetOf, times: TimeRange, source: str | None) -> NoRows:
    between = f"{iso(times.start)} to {iso(times.end)}"
    where = {"served": "vectors that were served", "history": "rows of history"}.get(
        source or "", "vectors that were served, or rows of history"
    )
    hint = f"Tenant {of.tenant_id!r} has none of {of.feature_set}@{of.version}."
    return NoRows(between, f"a time with {where}", hint)


def _named(of: SetOf) -> dict[str, Any]:
    return {
        "tenant_id": of.tenant_id,
        "feature_set": of.feature_set,
        "version": of.version,
        "fingerprint": of.fingerprint,
    }


def _baseline(found: StoredBaseline) -> dict[str, Any]:
    return {
        "baseline_id": found.baseline_id,
        "of_export": found.of_export,
        "start_time": iso(found.start_time),
        "end_time": iso(found.end_time),
        "made_at": iso(found.made_at),
        "rows": found.row_count,
    }
