"""The contract of what is kept for drift: baselines, and sketches of what was served.

Documents are bytes, whose meaning is no concern of a store. Times are microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import DAY
from ai_hub.stores.audit_log import AuditRecord

MOST_BASELINES = 10
"""Baselines that are kept of a version of a tenant's set: the newest ones."""
MOST_HOURS = 12 * 168
"""Hours of what was served that are kept of one: the last ones."""
KEPT = 91 * DAY
"""How long an hour is kept that nothing is added to."""


class SetOf(NamedTuple):
    """A version of a feature set and its definition, as a tenant uses it."""

    tenant_id: str
    feature_set: str
    version: int
    fingerprint: str


def set_of(tenant_id: str, chosen: FeatureSet) -> SetOf | None:
    """What a tenant's vectors of a set are of; None for single features, which have no version."""
    if chosen.name is None or chosen.version is None:
        return None
    return SetOf(tenant_id, chosen.name, chosen.version, chosen.fingerprint)


@dataclass(frozen=True, slots=True)
class StoredBaseline:
    """A baseline: a row of `ai_hub_baselines`.

    `baseline_id` is that of the export that it was kept with, or one of its own. It is of rows of
    [start_time, end_time].
    """

    baseline_id: str
    tenant_id: str
    feature_set: str
    version: int
    fingerprint: str
    of_export: bool
    start_time: int
    end_time: int
    made_at: int
    row_count: int
    document: bytes

    @property
    def of(self) -> SetOf:
        """What it is a baseline of."""
        return SetOf(self.tenant_id, self.feature_set, self.version, self.fingerprint)


class ServedHour(NamedTuple):
    """The sketch of the vectors that were served for times of one hour, which begins at `hour`."""

    of: SetOf
    hour: int
    document: bytes


Merge = Callable[[bytes, bytes], bytes]
"""Two documents as one."""


class DriftTable(Protocol):
    """What is kept for drift."""

    @property
    def writable(self) -> bool:
        """Whether anything can be kept there: not on a standby."""

    async def keep_baseline(
        self, baseline: StoredBaseline, audit: Sequence[AuditRecord] = ()
    ) -> None:
        """Keep a baseline with audit records; of its version the newest MOST_BASELINES stay."""

    async def baselines(self, of: SetOf) -> list[StoredBaseline]:
        """The baselines of a version, without their documents, the newest first."""

    async def baseline(self, of: SetOf, baseline_id: str | None) -> StoredBaseline | None:
        """The newest baseline of a version, or the one named; None where there is none."""

    async def add_served(self, hours: Sequence[ServedHour], merge: Merge, at: int) -> None:
        """Add sketches to those that are there of the same hour, all or none of them.

        `merge` joins two documents; it may be called for one twice, and in a thread. `at` is now:
        hours to which nothing was added for KEPT are deleted, and of each version those before its
        last MOST_HOURS.
        """

    async def served(self, of: SetOf, start: int, end: int) -> list[ServedHour]:
        """The sketches of hours that begin in [start, end), by hour."""

    async def served_sets(self, start: int, end: int) -> list[SetOf]:
        """Whose sketches there are of hours that begin in [start, end)."""
