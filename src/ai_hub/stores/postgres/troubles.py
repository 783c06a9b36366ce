"""What stands in a PostgreSQL database and should not, or is not there and should be.

Each is wrong whatever the figures are; the command that mends it is a whole line of a shell.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ai_hub.config import Settings
from ai_hub.definitions.registry import Registry
from ai_hub.engines.plan import Plan
from ai_hub.engines.sql import statement
from ai_hub.engines.sql_views import quoted
from ai_hub.stores.checkup import Looked, Trouble
from ai_hub.stores.postgres.declared import declared
from ai_hub.stores.postgres.migrations import Mode, migrations
from ai_hub.stores.postgres.refreshers import refreshers
from ai_hub.stores.postgres.session import Connection
from ai_hub.stores.postgres.warnings import doubled_functions, foreign_policies

_KEYS: Mapping[str, str] = {
    "timeseries_data": "tenant_id, asset_id, feature_type, timestamp",
    "ai_features": "tenant_id, asset_id, feature_type, timestamp",
    "weather_features": "tenant_id, asset_id, timestamp, issued_at",
    "asset_weather_source": "tenant_id, asset_id, valid_from",
    "asset_attributes": "tenant_id, asset_id, key, valid_from",
    "feature_exports": "export_id",
    "ai_hub_series": "tenant_id, asset_id, feature_type",
}
"""The key of each table that requests read, which is its index too."""
_INCLUDED = {"asset_weather_source": " INCLUDE (source_id)"}
_OF_AGGREGATES = ("hourly_features", "daily_features")
_READ = re.compile(r"(ai_features|weather_features|asset_attributes|_hyper_.*_chunk)")
_WITHOUT_KEY = re.compile(r"_ts_brin$")
_ON_ROWS = re.compile(r"CREATE OR REPLACE (TRIGGER (\w+)[^;]+ ON ai_features[^;]+);")
_DEAD_ROWS, _DEAD_SHARE = 10_000, 0.2

_KEYED = """
SELECT c.relname AS relation, string_agg(a.attname, ', ' ORDER BY k.place) AS key
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k(attnum, place)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE c.oid = ANY($1::text[]::regclass[]) AND i.indisunique AND i.indisvalid
  AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid, c.relname
"""
# The primary keys that tables have which lack ours.
_OTHER_KEYS = """
SELECT name, quote_ident(c.conname), i.indisvalid,
  regexp_replace(pg_get_constraintdef(c.oid), '^PRIMARY KEY ', '')
FROM unnest($1::text[]) AS name
JOIN pg_constraint AS c ON c.conrelid = name::regclass AND c.contype = 'p'
JOIN pg_index AS i ON i.indexrelid = c.conindid
"""
# Those of hours that are not there, and of which an invalid one has the name.
_OF_HOURS = """
SELECT v.name, i.indexrelid::regclass::text FROM unnest($1::text[]) AS v(name)
JOIN timescaledb_information.continuous_aggregates AS a
  ON a.view_name = v.name AND a.view_schema = current_schema()
LEFT JOIN pg_class AS c
  ON c.relname = v.name || '_key'
  AND c.relnamespace = a.materialization_hypertable_schema::regnamespace
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE i.indisvalid IS NOT TRUE
"""
_SOMEBODY = """
SELECT tenant_id, asset_id FROM ai_hub_series ORDER BY tenant_id, asset_id LIMIT 1
"""
_TRIGGERS = """
SELECT tgname::text AS name, tgenabled IN ('O', 'A') AS enabled FROM pg_trigger
WHERE tgrelid = 'ai_features'::regclass AND NOT tgisinternal
"""
# A job that was added by add_job names its aggregate in its configuration alone.
_JOBS = """
SELECT j.job_id, coalesce(a.view_name, j.hypertable_name)::text AS relation, j.scheduled,
  j.proc_name::text AS policy, (j.config->>'start_offset')::interval AS reach
FROM timescaledb_information.jobs AS j
LEFT JOIN _timescaledb_catalog.hypertable AS m ON m.id = (j.config->>'mat_hypertable_id')::int
LEFT JOIN timescaledb_information.continuous_aggregates AS a
  ON a.materialization_hypertable_schema = coalesce(j.hypertable_schema, m.schema_name)
  AND a.materialization_hypertable_name = coalesce(j.hypertable_name, m.table_name)
WHERE coalesce(a.view_schema, j.hypertable_schema) = current_schema() ORDER BY j.job_id
"""
# What is declared, and so should be among the jobs.
_DECLARED = """
SELECT relation, 'policy_retention' AS policy, NULL::interval AS reach FROM ai_hub_retention
WHERE keep IS NOT NULL
UNION ALL SELECT 'hourly_features', 'policy_refresh_continuous_aggregate',
  least(keep, INTERVAL '14 days') FROM ai_hub_retention
WHERE relation = 'ai_features' AND (keep IS NULL OR keep >= INTERVAL '3 hours')
UNION ALL SELECT 'daily_features', 'policy_refresh_continuous_aggregate',
  least(keep, INTERVAL '15 days') FROM ai_hub_retention
WHERE relation = 'hourly_features' AND (keep IS NULL OR keep >= INTERVAL '3 days')
UNION ALL VALUES ('ai_features', 'policy_compression', NULL::interval),
  ('weather_features', 'policy_compression', NULL)
ORDER BY 1, 2
"""
_BEHIND = """
SELECT default_version FROM pg_available_extensions
WHERE name = 'timescaledb' AND installed_version <> default_version
"""
_DEAD = """
SELECT coalesce(h.hypertable_name, s.relname)::text AS relation, sum(s.n_dead_tup)::bigint AS dead,
  sum(s.n_live_tup)::bigint AS live
FROM pg_stat_user_tables AS s LEFT JOIN {chunks} AS h
  ON h.chunk_schema = s.schemaname AND h.chunk_name = s.relname
WHERE s.schemaname = current_schema() OR h.chunk_name IS NOT NULL
GROUP BY 1 ORDER BY dead DESC
"""
_CHUNKS = "timescaledb_information.chunks"
_NO_CHUNKS = "(SELECT NULL::name AS hypertable_name, NULL::name AS chunk_schema, \
NULL::name AS chunk_name) "


async def troubles(on: Connection, settings: Settings, mode: Mode) -> Looked:
    """All of them."""
    psql = _psql(settings.database_url)
    found = Looked()
    await _indexes(on, mode, psql, found)
    await _triggers(on, psql, found)
    await _functions(on, psql, found)
    await _dead_rows(on, mode, psql, found)
    await _retention(on, settings, found)
    if mode != "plain":
        await _release(on, psql, found)
    if mode == "timescaledb":
        await _policies(on, psql, found)
    return found


async def _indexes(on: Connection, mode: Mode, psql: str, found: Looked) -> None:
    there: dict[str, list[str]] = {}
    for relation, key in await on.fetch(_KEYED, list(_KEYS)):
        there.setdefault(relation, []).append(key)
    lacking = [name for name, key in _KEYS.items() if key not in there.get(name, [])]
    others = {name: other for name, *other in await on.fetch(_OTHER_KEYS, lacking)}
    for name in lacking:
        key = f"({_KEYS[name]}){_INCLUDED.get(name, '')}"
        said = f"{name} has no primary key ({_KEYS[name]}): it is read whole, and rows may double"
        steps = [f"ALTER TABLE {name} ADD PRIMARY KEY {key}"]
        if name in others:
            constraint, is_valid, columns = others[name]
            said = f"the primary key of {name} is invalid: it is read whole"
            if is_valid:
                said = (
                    f"the primary key of {name} is {columns}, not ({_KEYS[name]}): it is read whole"
                )
            # REINDEX of a hypertable leaves its own index as it is.
            steps.insert(0, f"ALTER TABLE {name} DROP CONSTRAINT {constraint}")
        found.add(Trouble("indexes", said, _run(psql, *steps)))
    if mode == "timescaledb":
        for name, invalid in await on.fetch(_OF_HOURS, list(_OF_AGGREGATES)):
            key = "(tenant_id, asset_id, feature_type, bucket DESC)"
            said, steps = "has no index", [f"CREATE INDEX {name}_key ON {name} {key}"]
            if invalid is not None:
                said = "has an invalid index"
                steps.insert(0, f"DROP INDEX {invalid}")
            found.add(Trouble("indexes", f"{name} {said} {name}_key", _run(psql, *steps)))
    explained, slowest = 0, 0.0
    somebody = await on.fetchrow(_SOMEBODY)
    for feature_set in Registry().sets() if somebody is not None else ():
        plan = Plan.of(feature_set)
        asked = statement(plan, None, "one")
        point = (*somebody, time.time_ns() // 1_000)
        text = await on.fetchval(
            f"EXPLAIN (VERBOSE, FORMAT JSON) {asked.text}", *asked.arguments([point])
        )
        begin = time.perf_counter()
        await on.fetch(asked.text, *asked.arguments([point]))
        explained, slowest = explained + 1, max(slowest, time.perf_counter() - begin)
        for schema, relation in sorted({*_read_whole(json.loads(text)[0]["Plan"])}):
            if not lacking:
                said = f"{feature_set.label} reads {schema}.{relation} without its key"
                # Without a choice of plans, no index of it is valid or statistics are old.
                table = f"{quoted(schema)}.{quoted(relation)}"
                mends = f"{psql} -c {shlex.quote(f'REINDEX TABLE {table}')}"
                mends += f" -c {shlex.quote(f'ANALYZE {table}')}"
                found.add(Trouble("indexes", said, mends, is_fault=False))
    of_whom = f" for {'/'.join(somebody)}" if somebody is not None else ""
    found.note(
        "indexes",
        f"{len(_KEYS)} tables have their keys, and {explained} statements that requests run "
        f"use them (EXPLAIN{of_whom})",
        explained,
    )
    if explained:
        found.note("speed", f"the slowest of {explained} took {slowest * 1e3:.0f} ms", slowest)


def _read_whole(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The tables that a plan reads without their key, each with its schema."""
    relation = node.get("Relation Name", "")
    if node["Node Type"] == "Seq Scan" and _READ.fullmatch(relation):
        yield node["Schema"], relation
    if node["Node Type"] == "Bitmap Heap Scan" and any(
        _WITHOUT_KEY.search(one.get("Index Name", "")) for one in node["Plans"]
    ):
        yield node["Schema"], relation
    for one in node.get("Plans", ()):
        yield from _read_whole(one)


async def _triggers(on: Connection, psql: str, found: Looked) -> None:
    """Those that note what is written, by us or by SQL."""
    enabled = {row["name"]: row["enabled"] for row in await on.fetch(_TRIGGERS)}
    made = _made(mode="timescaledb" if "ai_hub_late_inserted" in enabled else "plain")
    for name, text in made.items():
        if name not in enabled:
            said, mends = f"ai_features has no trigger {name}", f"CREATE {text}"
        elif not enabled[name]:
            said = f"trigger {name} of ai_features is disabled"
            mends = f"ALTER TABLE ai_features ENABLE TRIGGER {name}"
        else:
            continue
        said += ": rows are written that neither lists of assets nor aggregates hear of"
        found.add(Trouble("triggers", said, _run(psql, mends)))
    found.note("triggers", f"{len(made)} triggers note what is written", len(made))


def _made(mode: Mode) -> dict[str, str]:
    """The statement of each trigger on rows, as the migrations have it."""
    texts = (one.sql(mode) for one in migrations())
    return {
        match[2]: " ".join(match[1].split()) for text in texts for match in _ON_ROWS.finditer(text)
    }


async def _functions(on: Connection, psql: str, found: Looked) -> None:
    for one in await doubled_functions(on):
        function = one.remedy.partition("DROP FUNCTION ")[2]
        mends = _run(psql, f"DROP FUNCTION {function}")
        found.add(Trouble("functions", one.wrong, mends, is_fault=False))


async def _dead_rows(on: Connection, mode: Mode, psql: str, found: Looked) -> None:
    rows = await on.fetch(_DEAD.format(chunks=_NO_CHUNKS if mode == "plain" else _CHUNKS))
    for relation, dead, live in rows:
        if dead > _DEAD_ROWS and dead > _DEAD_SHARE * (dead + live):
            said = f"{dead:,} of {dead + live:,} rows of {relation} are dead, and are still read"
            mends = _run(psql, f"VACUUM (ANALYZE) {relation}")
            found.add(Trouble("vacuum", said, mends, is_fault=False))
    dead = sum(row["dead"] for row in rows)
    found.note("vacuum", f"{dead:,} dead rows in all tables", dead)


async def _retention(on: Connection, settings: Settings, found: Looked) -> None:
    for one in await declared(on):
        if ignored := one.ignored(settings):
            said, _, mends = ignored.partition(". Unset the one, or run ")
            found.add(Trouble("retention", said, mends, is_fault=False))


async def _release(on: Connection, psql: str, found: Looked) -> None:
    newer = await on.fetchval(_BEHIND)
    if newer is not None:
        said = f"the server has TimescaleDB {newer} installed, and this database an older one"
        mends = f"{psql} -X -c {shlex.quote('ALTER EXTENSION timescaledb UPDATE')}"
        found.add(Trouble("versions", said, mends, is_fault=False))


async def _policies(on: Connection, psql: str, found: Looked) -> None:
    for one in await foreign_policies(on, "timescaledb"):
        found.add(Trouble("policies", one.wrong, "ai-hub migrate"))
    jobs: dict[tuple[str, str], list[Any]] = {}
    for job in await on.fetch(_JOBS):
        jobs.setdefault((job["relation"], job["policy"]), []).append(job)
    wanted = await on.fetch(_DECLARED)
    for relation, policy, reach in wanted:
        mine = jobs.get((relation, policy), [])
        if policy == "policy_compression":
            if not mine:
                said = f"{relation} has no columnstore policy: its old rows take ten times the room"
                found.add(Trouble("policies", said, _columnstore(psql, relation), is_fault=False))
        elif not any(one["reach"] == reach for one in mine):
            kind = "retention" if policy == "policy_retention" else "refresh"
            said = f"{relation} does not have the {kind} policy that is declared"
            found.add(Trouble("policies", said, "ai-hub migrate", is_fault=False))
        elif policy != "policy_retention":
            for one in mine:
                if one["reach"] != reach:
                    empties = one["reach"] is None or one["reach"] > reach
                    does = (
                        "reaches where rows may be deleted, and empties the aggregate there"
                        if empties
                        else "refreshes what the declared one and ai-hub maintain refresh"
                    )
                    said = (
                        f"job {one['job_id']}, a refresh policy that somebody added to {relation}, "
                        f"{does}"
                    )
                    mends = _run(psql, f"SELECT delete_job({one['job_id']})")
                    found.add(Trouble("policies", said, mends, is_fault=empties))
    for relation in _OF_AGGREGATES:
        for one in jobs.get((relation, "policy_compression"), ()):
            if one["scheduled"]:
                said = (
                    f"job {one['job_id']} puts chunks of {relation} into the columnstore by "
                    "itself: beside a refresh buckets are doubled or lost"
                )
                mends = _run(psql, f"SELECT alter_job({one['job_id']}, scheduled => false)")
                found.add(Trouble("policies", said, mends))
    for idle in await refreshers(on):
        if idle.is_late:
            said = f"{idle.idle_in_words}; ai-hub maintain does it meanwhile"
            mends = _run(psql, f"SELECT alter_job({idle.job_id}, next_start => now())")
            found.add(Trouble("jobs", said, mends, is_fault=False))
    found.note("policies", f"{len(wanted)} policies are as they are declared", len(wanted))


def _columnstore(psql: str, relation: str) -> str:
    policy = f"CALL add_columnstore_policy('{relation}', after => INTERVAL '14 days')"
    quiet = (
        "SELECT alter_job(job_id, config => config || '{\"recompress\": false}') FROM "
        "timescaledb_information.jobs WHERE proc_name = 'policy_compression' AND "
        f"hypertable_name = '{relation}' AND hypertable_schema = current_schema()"
    )
    return f"{_run(psql, policy)} -c {shlex.quote(quiet)}"


def _run(psql: str, *statements: str) -> str:
    """The command that runs some statements, several all or none of them."""
    words = ["-c " + shlex.quote(one) for one in statements]
    return " ".join((psql, *["-1"][: len(words) - 1], *words))


def _psql(url: str) -> str:
    """The command that reaches a database, without the password: psql asks for it."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    bare = urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{place}"))
    return f"psql {shlex.quote(bare)}"
