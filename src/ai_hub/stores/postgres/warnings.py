"""What others put into a database that does harm there: its owner should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_hub.stores.postgres.migrations import Mode
from ai_hub.stores.postgres.refreshers import refreshers

# Those that are declared here are never scheduled.
_POLICIES = """
SELECT relation, drop_after FROM (
  SELECT coalesce(a.view_name, j.hypertable_name) AS relation,
    coalesce(a.view_schema, j.hypertable_schema) AS schema,
    coalesce(j.config->>'drop_after', j.config->>'drop_created_before') AS drop_after
  FROM timescaledb_information.jobs AS j
  LEFT JOIN timescaledb_information.continuous_aggregates AS a
    ON a.materialization_hypertable_schema = j.hypertable_schema
    AND a.materialization_hypertable_name = j.hypertable_name
  WHERE j.proc_name = 'policy_retention' AND j.scheduled
) AS found
WHERE schema = current_schema() AND relation IN (SELECT relation FROM ai_hub_retention)
ORDER BY relation
"""
_DOUBLED = """
SELECT p.proname::text AS name, p.oid::regprocedure::text AS function
FROM pg_proc AS p
JOIN unnest($1::text[]) AS ours(function)
  ON p.proname = split_part(ours.function, '(', 1) AND p.oid <> to_regprocedure(ours.function)
WHERE p.pronamespace = current_schema()::regnamespace
ORDER BY function
"""
_OURS = (
    "get_lag_features(text, text, timestamptz, int[], text, interval)",
    "get_rolling_features(text, text, timestamptz, int, text)",
)


@dataclass(frozen=True, slots=True)
class Warned:
    """What is wrong with a relation or function, and what to do."""

    name: str
    wrong: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.wrong}. {self.remedy}"


async def foreign_policies(on: Any, mode: Mode) -> list[Warned]:
    """Retention policies that delete by themselves, and without notice."""
    if mode != "timescaledb":
        return []
    return [
        Warned(
            relation,
            f"a retention policy that somebody scheduled deletes rows of {relation} older than "
            f"{drop_after}, without notice and whatever ai-hub retention show says",
            "ai-hub migrate puts the policies back as they are declared",
        )
        for relation, drop_after in await on.fetch(_POLICIES)
    ]


async def idle_policies(on: Any, mode: Mode) -> list[Warned]:
    """Policies that should refresh an aggregate, and by the server's own record do not."""
    if mode != "timescaledb":
        return []
    return [
        Warned(
            one.relation,
            one.idle_in_words,
            "ai-hub maintain does it meanwhile; timescaledb_information.job_errors and the log of "
            "the server say more",
        )
        for one in await refreshers(on)
        if one.is_late
    ]


async def doubled_functions(on: Any) -> list[Warned]:
    """Functions beside ours of the same names, with which PostgreSQL finds calls ambiguous."""
    return [
        Warned(
            name,
            f"{function} stands beside the function of that name that ai-hub made, so PostgreSQL "
            "refuses calls of it as not unique",
            f"Drop it: DROP FUNCTION {function}",
        )
        for name, function in await on.fetch(_DOUBLED, _OURS)
    ]


async def warnings(on: Any, mode: Mode) -> list[Warned]:
    """All that its owner should know of a database."""
    return [
        *await foreign_policies(on, mode),
        *await idle_policies(on, mode),
        *await doubled_functions(on),
    ]
