"""Rows of some ids, in DuckDB's words."""

from __future__ import annotations

from collections.abc import Sequence


def of_ids(ids: Sequence[str]) -> tuple[str, str, list[object]]:
    """The code column, the join and the parameters that select rows of some ids.

    No query says ORDER BY: sorting the arrays afterwards is cheaper.
    """
    if len(ids) == 1:
        return "0::BIGINT", "WHERE o.asset_id = ?", [ids[0]]
    join = (
        "JOIN (SELECT unnest(?::VARCHAR[]) AS id, unnest(range(?::BIGINT)) AS code) g "
        "ON o.asset_id = g.id WHERE true"
    )
    return "g.code", join, [list(ids), len(ids)]
