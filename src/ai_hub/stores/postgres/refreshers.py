"""Who refreshes the aggregates: the server by its policies, or maintenance where it does not.

A policy is believed by what the server records of its runs. Some versions record every scheduled
run as failed (TimescaleDB 2.28.3 does on PostgreSQL 15) and start it less often for that, so there
maintenance refreshes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_hub.definitions.values import iso

AGGREGATES = ("hourly_features", "daily_features")

# One run that fails, as beside maintenance, or waits for its turn is no reason to doubt. Of several
# policies ours is the one that leaves out the bucket which is not over.
_STATES = """
SELECT DISTINCT ON (a.view_name) a.view_name AS relation, j.job_id, j.scheduled,
  s.last_run_status AS recorded, s.last_successful_finish AS succeeded,
  s.last_successful_finish >= now() - 2 * j.schedule_interval - INTERVAL '5 minutes' AS recent,
  e.sqlerrcode, e.err_message AS error
FROM timescaledb_information.continuous_aggregates AS a
LEFT JOIN timescaledb_information.jobs AS j
  ON j.proc_name = 'policy_refresh_continuous_aggregate'
  AND j.hypertable_schema = a.view_schema AND j.hypertable_name = a.view_name
LEFT JOIN timescaledb_information.job_stats AS s ON s.job_id = j.job_id
LEFT JOIN LATERAL (
  SELECT sqlerrcode, err_message FROM timescaledb_information.job_errors
  WHERE job_id = j.job_id ORDER BY start_time DESC LIMIT 1
) AS e ON s.last_run_status = 'Failed'
WHERE a.view_schema = current_schema() AND a.view_name = ANY($1::text[])
ORDER BY a.view_name DESC, (j.config->>'end_offset')::interval IS NOT DISTINCT FROM
  CASE a.view_name WHEN 'hourly_features' THEN INTERVAL '1 hour' ELSE INTERVAL '1 day' END DESC
"""
# 'cannot drop portal "" while it is being set up': said after the work is done and committed.
_RECORDED_WRONG = "24000"


@dataclass(frozen=True, slots=True)
class Refresher:
    """Who brings an aggregate up to date where rows changed, and why it is who it is."""

    relation: str
    by_server: bool
    why: str
    is_late: bool = False
    """Whether the server's policy should have refreshed it, and did not."""
    job_id: int | None = None
    """That of the policy."""

    @property
    def who(self) -> str:
        """As people are told."""
        return "the server" if self.by_server else "ai-hub maintain"

    @property
    def idle_in_words(self) -> str:
        """That its policy does not do its work, as people are told."""
        return f"the server should refresh {self.relation}, and does not: {self.why}"


async def refreshers(on: Any) -> list[Refresher]:
    """Who refreshes each aggregate of a database in the mode `timescaledb`."""
    return [_refresher(row) for row in await on.fetch(_STATES, AGGREGATES)]


def _refresher(row: Any) -> Refresher:
    name, job = row["relation"], row["job_id"]
    if job is None:
        return Refresher(name, False, "it has no policy: too little is kept for one to span")
    if not row["scheduled"]:
        return Refresher(name, False, "its policy is paused")
    if row["recent"]:
        return Refresher(name, True, f"its policy ran at {iso(row['succeeded'])}")
    if row["recorded"] is None:
        return Refresher(name, False, "its policy did not run yet")
    if row["recorded"] == "Success":
        last = iso(row["succeeded"])
        return Refresher(name, False, f"its policy last ran at {last}", is_late=True, job_id=job)
    if row["sqlerrcode"] == _RECORDED_WRONG:
        return Refresher(name, False, "this TimescaleDB records runs of its policy as failed")
    said = f"its policy fails: {row['error'] or 'its process ended'}"
    return Refresher(name, False, said, is_late=True, job_id=job)
