"""What a server does in a second: the difference of what it had counted at two times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document

OWN = ("/metrics", "/ai/features/exports")
"""The routes that are asked once for each reading: that is left out of what is told."""
_REQUESTS = "ai_hub_request_seconds"
_STATES = ("closed", "half-open", "open")

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Counted:
    """The counts of a server at a time, in seconds of a clock that never goes back."""

    at: float
    counts: Mapping[str, Mapping[Labels, float]]

    @classmethod
    def of(cls, at: float, samples: Iterable[tuple[str, Mapping[str, str], float]]) -> Counted:
        """The counts of some samples: a name, labels, a number."""
        counts: dict[str, dict[Labels, float]] = {}
        for name, labels, number in samples:
            counts.setdefault(name, {})[tuple(sorted(labels.items()))] = number
        return cls(at, counts)

    def since(self, before: Counted, name: str) -> dict[Labels, float]:
        """How much more there is of each count; of a server that began anew meanwhile, all."""
        past = before.counts.get(name, {})
        return {
            labels: number - past.get(labels, 0.0) if number >= past.get(labels, 0.0) else number
            for labels, number in self.counts.get(name, {}).items()
        }

    def only(self, name: str) -> float:
        """A count without labels; 0 where it is not told."""
        return self.counts.get(name, {}).get((), 0.0)


def rates(before: Counted, now: Counted) -> Document:
    """What there was in a second between two readings, and what is as it is now."""
    seconds = max(now.at - before.at, 1e-6)

    def per_second(name: str, **wanted: str) -> float:
        found = now.since(before, name).items()
        some = [number for labels, number in found if wanted.items() <= {*labels}]
        return round(sum(some) / seconds, 3)

    hits, misses = (per_second(f"ai_hub_cache_{name}_total") for name in ("hits", "misses"))
    release = next(iter(now.counts.get("ai_hub_build_info", {})), ())
    return {
        "version": dict(release).get("version"),
        "workers": int(now.only("ai_hub_workers")),
        "seconds": round(seconds, 3),
        "requests": _requests(before, now, seconds),
        "cache": {
            "hits_per_second": hits,
            "misses_per_second": misses,
            "hit_rate": round(hits / (hits + misses), 4) if hits + misses else None,
            "state": _STATES[int(now.only("ai_hub_cache_state"))],
        },
        "vectors": {
            "computed_per_second": per_second("ai_hub_computed_vectors_total"),
            "degraded_per_second": per_second("ai_hub_degraded_answers_total"),
        },
        "rows": {
            f"{outcome}_per_second": per_second("ai_hub_ingest_rows_total", outcome=outcome)
            for outcome in ("accepted", "rejected")
        },
        "lag": [
            {"tenant_id": dict(labels)["tenant"], "seconds": round(age, 3)}
            for labels, age in sorted(
                now.counts.get("ai_hub_newest_observation_age_seconds", {}).items(),
                key=lambda one: -one[1],
            )
        ],
    }


def _requests(before: Counted, now: Counted, seconds: float) -> Document:
    """Requests by route, those first that are asked for most, and of all together."""
    counts: dict[str, dict[float, float]] = {}
    failed: dict[str, float] = {}
    for labels, number in now.since(before, f"{_REQUESTS}_bucket").items():
        said = dict(labels)
        bound, buckets = float(said["le"]), counts.setdefault(said["route"], {})
        buckets[bound] = buckets.get(bound, 0.0) + number
        if said["status"] == "5xx" and bound == float("inf"):
            failed[said["route"]] = number
    whole: dict[float, float] = {}
    routes = []
    for route, buckets in counts.items():
        own = 1.0 if route in OWN and buckets[float("inf")] >= 1 else 0.0
        if buckets[float("inf")] <= own:
            continue
        for bound, number in buckets.items():
            whole[bound] = whole.get(bound, 0.0) + number
        routes.append({"route": route, **_told(buckets, own, failed.get(route, 0.0), seconds)})
    own = float(sum(one["route"] in OWN for one in routes))
    all_failed = sum(failed.get(one["route"], 0.0) for one in routes)
    return {
        **_told(whole, own, all_failed, seconds),
        "routes": sorted(routes, key=lambda one: -one["per_second"]),
    }


def _told(
    buckets: Mapping[float, float], own: float, failed: float, seconds: float
) -> dict[str, Any]:
    total = buckets.get(float("inf"), 0.0)
    in_order = sorted(buckets.items())
    return {
        "per_second": round((total - own) / seconds, 3),
        "failed_per_second": round(failed / seconds, 3),
        "p50_seconds": _quantile(in_order, 0.5),
        "p99_seconds": _quantile(in_order, 0.99),
    }


def _quantile(buckets: Sequence[tuple[float, float]], q: float) -> float | None:
    """A quantile of cumulated counts by upper bound, evenly spread in each bucket; None of
    nothing. What is beyond the last bound is told as that bound."""
    if not buckets or not buckets[-1][1]:
        return None
    rank = q * buckets[-1][1]
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if bound == float("inf"):
            break
        if count >= rank:
            return round(low + (bound - low) * (rank - below) / (count - below), 6)
        low, below = bound, count
    return low
