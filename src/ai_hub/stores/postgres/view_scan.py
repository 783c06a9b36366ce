"""Users' own views in bulk: a query for each column, in the snapshot of a scan. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from ai_hub.config import Settings
from ai_hub.engines.arrays import ViewColumn
from ai_hub.engines.plan import ViewReads
from ai_hub.engines.sql_views import quoted
from ai_hub.stores.postgres import scan_sql as sql
from ai_hub.stores.postgres.snapshot import Snapshot
from ai_hub.stores.postgres.views import FACTS, view_facts
from ai_hub.stores.views import ViewFacts, fault_of, refusal_of


class ViewScan:
    """What a scan reads of views. Raises StoreRefused for one of which nothing can be read."""

    def __init__(self, snapshot: Snapshot, wanted: Sequence[ViewReads]) -> None:
        self._wanted = wanted
        self._facts = _checked(snapshot, wanted) if wanted else {}

    def queries(
        self, tenant_id: str, which: sql.Query, start: int, end: int
    ) -> dict[ViewColumn, sql.Query]:
        """What gives the rows that answers in [start, end] need, by columns."""
        return {
            (reads.view, column): sql.view(
                reads,
                column,
                column in self._facts[reads.view].booleans,
                tenant_id,
                which,
                (start - reads.lookback, end),
            )
            for reads in self._wanted
            for column in reads.columns
        }


def check_unchanged(settings: Settings, wanted: Sequence[ViewReads]) -> None:
    """Look at views once more, on a snapshot that is newer than what was read of them.

    A view that was replaced since the older one began was read as it is now. Raises StoreRefused.
    """
    if wanted:
        with closing(Snapshot(settings)) as snapshot:
            _checked(snapshot, wanted)


def _checked(snapshot: Snapshot, wanted: Sequence[ViewReads]) -> dict[str, ViewFacts]:
    given = {quoted(reads.view): reads.view for reads in wanted}
    ((path,),) = snapshot.rows("SELECT current_setting('search_path')", stream=False)
    rows = list(snapshot.rows(FACTS.format(sql.literals([*given])), stream=False))
    # It has set a path for itself, and later queries name views as users do.
    restored = f"SELECT set_config('search_path', {sql.literal(path)}, true)"
    list(snapshot.rows(restored, stream=False))
    facts = view_facts(rows, given)
    for reads in wanted:
        fault = fault_of(reads, facts.get(reads.view))
        if fault is not None:
            raise refusal_of(reads, fault)
    return facts
