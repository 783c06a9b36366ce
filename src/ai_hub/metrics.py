"""What one process counts, and what Prometheus is told of it.

While requests are answered nothing happens here but additions to plain numbers; metrics are made of
them when they are asked for. Several processes add up what each of them counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, TypeVar

import msgspec

from ai_hub import __version__
from ai_hub.arrivals import Arrivals
from ai_hub.definitions.values import SECOND

Kind = Literal["counter", "gauge", "histogram"]
Sample = tuple[tuple[str, ...], float]
"""The values of the labels, and a number."""

BOUNDS = (
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the latency histogram in seconds; one bucket more has what took longer."""
MOST_TENANTS = 100
"""Tenants with an age of their own; all others share one. Whoever comes first keeps its place."""
MOST_SETS = 100
"""Versions of feature sets with a count of their own; all others share one."""
MOST_FEATURES = 1_000
"""Features of versions with a count of their own, as missing and as outside; likewise."""
MOST_DRIFTS = 2_000
"""Features of versions of tenants whose drift is told; of all others the command tells it."""
OTHERS = "other"
_OTHER_FEATURES = (OTHERS, OTHERS)
_DRIFT_LABELS = ("tenant", "feature_set", "feature")
_NO_DRIFT = ("", "", "")
_SIZES = ("psi", "wasserstein")
_MOST_ERRORS = 30
_Key = TypeVar("_Key")
_TARGETS = ("observations", "weather")
_OUTCOMES = ("accepted", "rejected")
_ENDS = ("completed", "no_data", "failed", "cancelled")
_STATES = {"closed": 0, "half-open": 1, "open": 2}


class Metrics(msgspec.Struct):
    """The counts of one process, or of several together.

    `requests` has, for a route and a class of status, the count of each bucket and then the sum of
    seconds. `newest` is the time of the newest observation of a tenant, in microseconds. `drifts`
    says of a tenant, a version and a feature when it was last looked at, whether there is an alarm,
    and two sizes.
    """

    requests: dict[tuple[str, str], list[float]] = {}
    hits: int = 0
    misses: int = 0
    computed: int = 0
    degraded: int = 0
    served: dict[str, int] = {}
    missing: dict[tuple[str, str], int] = {}
    violations: dict[tuple[str, str], int] = {}
    view_faults: dict[tuple[str, str, str], int] = {}
    near_hits: int = 0
    near_bytes: int = 0
    cache_state: int = 0
    cache_errors: dict[str, int] = {}
    ingested: dict[tuple[str, str], int] = {}
    ingest_failures: dict[str, int] = {}
    newest: dict[str, int] = {}
    arrivals: Arrivals = msgspec.field(default_factory=Arrivals)
    exports: dict[str, int] = {}
    export_rows: int = 0
    unsketched: int = 0
    drifts: dict[tuple[str, str, str], tuple[int, float, float | None, float | None]] = {}
    workers: int = 1

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        key = (route, _CLASSES[status // 100])
        counts = self.requests.get(key)
        if counts is None:
            counts = self.requests[key] = [0.0] * (len(BOUNDS) + 2)
        counts[bisect_left(BOUNDS, seconds)] += 1
        counts[-1] += seconds

    def answered_by(self, feature_set: str, vectors: int) -> None:
        """Vectors of a version of a feature set (`@`: of single features) were answered."""
        feature_set = _kept(self.served, feature_set, MOST_SETS, OTHERS)
        self.served[feature_set] = self.served.get(feature_set, 0) + vectors

    def filled(self, feature_set: str, feature: str, vectors: int) -> None:
        """A feature of a set's version was missing in so many computed vectors."""
        key = _kept(self.missing, (feature_set, feature), MOST_FEATURES, _OTHER_FEATURES)
        self.missing[key] = self.missing.get(key, 0) + vectors

    def violated(self, feature_set: str, feature: str, vectors: int) -> None:
        """A feature of a set's version was outside its range in so many vectors or rows."""
        key = _kept(self.violations, (feature_set, feature), MOST_FEATURES, _OTHER_FEATURES)
        self.violations[key] = self.violations.get(key, 0) + vectors

    def no_view(self, feature_set: str, feature: str, fault: str, vectors: int) -> bool:
        """A view had no value for a feature in so many vectors or rows; whether for the first time
        of that reason."""
        others = (*_OTHER_FEATURES, fault)
        key = _kept(self.view_faults, (feature_set, feature, fault), MOST_FEATURES, others)
        self.view_faults[key] = self.view_faults.get(key, 0) + vectors
        return self.view_faults[key] == vectors

    def drifted(
        self, tenant_id: str, feature_set: str, features: Iterable[Mapping[str, Any]], at: int
    ) -> None:
        """The features of a version were compared with their baseline."""
        for one in features:
            key = (tenant_id, feature_set, one["name"])
            if _kept(self.drifts, key, MOST_DRIFTS, _NO_DRIFT) == key:
                psi, distance = (one["effects"][name]["value"] for name in _SIZES)
                self.drifts[key] = (at, float(one["alarm"]), psi, distance)

    def of_tenants(self, tenants: Collection[str]) -> Metrics:
        """The same counts, of what is told by tenant only that of some."""
        newest = {one: time for one, time in self.newest.items() if one in tenants}
        drifts = {key: found for key, found in self.drifts.items() if key[0] in tenants}
        arrivals = self.arrivals.of_tenants(tenants)
        return msgspec.structs.replace(self, newest=newest, drifts=drifts, arrivals=arrivals)

    def landed(self, target: str, accepted: int, rejected: int, newest: Mapping[str, int]) -> None:
        """A batch landed; `newest` has its last observation time by tenant."""
        for outcome, rows in (("accepted", accepted), ("rejected", rejected)):
            key = (target, outcome)
            self.ingested[key] = self.ingested.get(key, 0) + rows
        for tenant, time in newest.items():
            self._seen(tenant, time)

    def lost(self, target: str) -> None:
        """A batch did not land."""
        self.ingest_failures[target] = self.ingest_failures.get(target, 0) + 1

    def exported(self, status: str, rows: int = 0) -> None:
        """An export ended."""
        self.exports[status] = self.exports.get(status, 0) + 1
        self.export_rows += rows

    def of_cache(
        self, state: str, errors: Mapping[str, int], near_hits: int = 0, near_bytes: int = 0
    ) -> None:
        """How the cache is, its errors since it was opened, by kind, and its first level."""
        self.cache_state = _STATES[state]
        self.near_hits, self.near_bytes = near_hits, near_bytes
        self.cache_errors = dict([*errors.items()][:_MOST_ERRORS])

    def add(self, other: Metrics) -> None:
        """Count what another process counted as well; the worst state is that of all."""
        for key, counts in other.requests.items():
            mine = self.requests.get(key, [0.0] * len(counts))
            self.requests[key] = [a + b for a, b in zip(mine, counts, strict=True)]
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _TABLES:
            table = getattr(self, name)
            for one, count in getattr(other, name).items():
                table[one] = table.get(one, 0) + count
        self.cache_state = max(self.cache_state, other.cache_state)
        for tenant, time in other.newest.items():
            self._seen(tenant, time)
        self.arrivals.add(other.arrivals)
        for drift, found in other.drifts.items():
            self.drifts[drift] = max(found, self.drifts.get(drift, found), key=lambda one: one[0])

    def _seen(self, tenant: str, time: int) -> None:
        tenant = _kept(self.newest, tenant, MOST_TENANTS, OTHERS)
        self.newest[tenant] = max(time, self.newest.get(tenant, time))


def _kept(table: Collection[_Key], key: _Key, most: int, rest: _Key) -> _Key:
    """The key itself while a table has it or has room for it, else the one that many share."""
    return key if key in table or len(table) < most else rest


_CLASSES = ("", "1xx", "2xx", "3xx", "4xx", "5xx")
_NUMBERS = ("hits", "misses", "near_hits", "near_bytes", "computed", "degraded", "export_rows",
            "unsketched", "workers")  # fmt: skip
_TABLES = ("served", "missing", "violations", "view_faults", "cache_errors", "ingested",
           "ingest_failures", "exports")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, what it says, its labels, and its samples of some counts."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    samples: Callable[[Metrics, int], Iterable[Sample]]


def _one(name: str) -> Callable[[Metrics, int], Iterable[Sample]]:
    return lambda counted, now: [((), getattr(counted, name))]


def _each(name: str, begun: Iterable[Any] = ()) -> Callable[[Metrics, int], Iterable[Sample]]:
    """The counts of a table; those of `begun` are there from the start.

    Where a count appears Prometheus sees no increase: it would miss the first failed export.
    """
    zeros = dict.fromkeys(begun, 0)

    def samples(counted: Metrics, now: int) -> Iterator[Sample]:
        for label, number in (zeros | getattr(counted, name)).items():
            yield (label if isinstance(label, tuple) else (label,)), number

    return samples


def _ages(counted: Metrics, now: int) -> Iterator[Sample]:
    for tenant, time in counted.newest.items():
        yield (tenant,), (now - time) / SECOND


def _drifts(place: int) -> Callable[[Metrics, int], Iterable[Sample]]:
    def samples(counted: Metrics, now: int) -> Iterator[Sample]:
        for key, found in counted.drifts.items():
            number = found[place]
            if number is not None:
                yield key, number

    return samples


FAMILIES = (
    Family(
        "ai_hub_request_seconds", "histogram", "Time to answer a request.", ("route", "status"),
        lambda counted, now: (),
    ),
    Family("ai_hub_cache_hits_total", "counter", "Vectors that the cache had.", (), _one("hits")),
    Family(
        "ai_hub_cache_misses_total", "counter", "Vectors that it had not.", (), _one("misses")
    ),
    Family(
        "ai_hub_cache_first_level_hits_total", "counter",
        "Vectors that the process itself had of a cache on Redis, which gave the tokens alone.", (),
        _one("near_hits"),
    ),
    Family(
        "ai_hub_cache_first_level_bytes", "gauge", "What processes hold of a cache on Redis.", (),
        _one("near_bytes"),
    ),
    Family(
        "ai_hub_cache_state", "gauge",
        "Circuit breaker of the cache: 0 closed (in use), 1 half-open, 2 open (not asked).", (),
        _one("cache_state"),
    ),
    Family(
        "ai_hub_cache_errors_total", "counter",
        "Errors of Redis by their code; lost: a connection that broke or did not answer.",
        ("error",), _each("cache_errors"),
    ),
    Family(
        "ai_hub_computed_vectors_total", "counter", "Vectors computed from the database.", (),
        _one("computed"),
    ),
    Family(
        "ai_hub_served_vectors_total", "counter",
        "Vectors answered, by version of the feature set; @: of single features.",
        ("feature_set",), _each("served"),
    ),
    Family(
        "ai_hub_missing_values_total", "counter", "Computed vectors that lacked a feature.",
        ("feature_set", "feature"), _each("missing"),
    ),
    Family(
        "ai_hub_violations_total", "counter",
        "Computed vectors and exported rows with a feature outside its range.",
        ("feature_set", "feature"), _each("violations"),
    ),
    Family(
        "ai_hub_view_faults_total", "counter",
        "Computed vectors and exported rows for which a view had no value, by reason.",
        ("feature_set", "feature", "reason"), _each("view_faults"),
    ),
    Family(
        "ai_hub_degraded_answers_total", "counter",
        "Vectors of calendar features alone, as the database did not answer.", (),
        _one("degraded"),
    ),
    Family(
        "ai_hub_ingest_rows_total", "counter", "Rows sent by what became of them.",
        ("target", "outcome"), _each("ingested", product(_TARGETS, _OUTCOMES)),
    ),
    Family(
        "ai_hub_ingest_failures_total", "counter", "Batches that did not land.", ("target",),
        _each("ingest_failures", _TARGETS),
    ),
    Family(
        "ai_hub_newest_observation_age_seconds", "gauge",
        "Age of the newest observation ingested since the start.", ("tenant",), _ages,
    ),
    Family(
        "ai_hub_exports_total", "counter", "Exports by how they ended.", ("status",),
        _each("exports", _ENDS),
    ),
    Family(
        "ai_hub_export_rows_total", "counter", "Rows of finished exports.", (),
        _one("export_rows"),
    ),
    Family(
        "ai_hub_drift_unsketched_vectors_total", "counter",
        "Computed vectors that were left out of the sketches of drift, as too much was held.", (),
        _one("unsketched"),
    ),
    Family(
        "ai_hub_drift_alarm", "gauge",
        "1 where a feature was found to drift when it was last looked at, else 0.", _DRIFT_LABELS,
        _drifts(1),
    ),
    Family(
        "ai_hub_drift_psi", "gauge", "Its population stability index against the baseline.",
        _DRIFT_LABELS, _drifts(2),
    ),
    Family(
        "ai_hub_drift_wasserstein", "gauge",
        "How far its values are from the baseline, in units of the baseline's spread.",
        _DRIFT_LABELS, _drifts(3),
    ),
    Family("ai_hub_workers", "gauge", "Processes that serve.", (), _one("workers")),
    Family(
        "ai_hub_build_info", "gauge", "The release that runs.", ("version",),
        lambda counted, now: [((__version__,), 1)],
    ),
)  # fmt: skip
"""Every metric there is."""


def exposition(counted: Metrics, now: int) -> tuple[bytes, bytes]:
    """The metrics as Prometheus reads them, and their content type. `now` in microseconds."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(counted, now))
    return generate_latest(registry), CONTENT_TYPE_LATEST.encode()


def samples_of(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """What an exposition tells: the name of each sample, its labels, and the number. Raises
    ValueError for a text that is none."""
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, float(sample.value)


class _Collector:
    """Some counts, as the client library collects them."""

    def __init__(self, counted: Metrics, now: int) -> None:
        self._counted = counted
        self._now = now

    def collect(self) -> Iterator[Any]:
        from prometheus_client import core

        kinds = {
            "counter": core.CounterMetricFamily,
            "gauge": core.GaugeMetricFamily,
            "histogram": core.HistogramMetricFamily,
        }
        for family in FAMILIES:
            made: Any = kinds[family.kind](family.name, family.help, labels=family.labels)
            if family.kind == "histogram":
                for place, counts in self._counted.requests.items():
                    made.add_metric(place, _buckets(counts), counts[-1])
            for labels, number in family.samples(self._counted, self._now):
                made.add_metric(labels, number)
            yield made


def _buckets(counts: list[float]) -> list[tuple[str, float]]:
    total = 0.0
    buckets = []
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts[:-1], strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
