"""Every object of a database, as text by name: what two schemas are compared by."""

from __future__ import annotations

import re
from functools import cache

from servers import Server

Objects = dict[str, str]

_OURS = "c.relnamespace = 'public'::regnamespace"
_QUERIES = {
    "relation": f"SELECT c.relname, c.relkind::text FROM pg_class c WHERE {_OURS}",
    "column": f"""
        SELECT c.relname || '.' || a.attname, concat_ws(' ', a.attnum,
          format_type(a.atttypid, a.atttypmod), (SELECT collname FROM pg_collation o
            WHERE o.oid = a.attcollation), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE {_OURS} AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraint": f"""
        SELECT c.relname || '.' || k.conname, pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE {_OURS}""",
    "index": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    # Indexes of the aggregates are on the tables that these are kept in.
    "aggregate index": """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = '_timescaledb_internal' AND tablename LIKE '\\_materialized%'""",
    "view": f"SELECT c.relname, pg_get_viewdef(c.oid) FROM pg_class c WHERE {_OURS} "
    "AND c.relkind = 'v'",
    "function": """
        SELECT p.oid::regprocedure::text, concat_ws(' ', p.provolatile, p.proparallel,
          p.prosecdef, p.proconfig, pg_get_function_result(p.oid), l.lanname,
          pg_get_function_arguments(p.oid), p.prosrc, a.aggtransfn, a.aggcombinefn, a.agginitval)
        FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
        LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
        WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')""",
    "trigger": f"""
        SELECT c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE {_OURS}""",
    "comment": f"""
        SELECT 'relation ' || c.relname, coalesce(obj_description(c.oid, 'pg_class'), '')
        FROM pg_class c WHERE {_OURS} AND NOT EXISTS (
          SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
        UNION ALL
        SELECT 'column ' || c.relname || '.' || a.attname,
          coalesce(col_description(c.oid, a.attnum), '')
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE {_OURS} AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT 'function ' || p.oid::regprocedure, coalesce(obj_description(p.oid, 'pg_proc'), '')
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        SELECT 'trigger ' || c.relname || '.' || t.tgname,
          coalesce(obj_description(t.oid, 'pg_trigger'), '')
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE {_OURS} AND NOT t.tgisinternal AND t.tgname NOT LIKE 'ts\\_%'""",
    "migration": "SELECT name, concat_ws(' ', number, checksum, mode, release) "
    "FROM ai_hub_migrations",
    "retention": "SELECT relation, concat_ws(' ', keep, told_at, deleted_before) "
    "FROM ai_hub_retention",
    "progress": "SELECT 'ai_hub_hourly', concat_ws(' ', announced, done) FROM ai_hub_hourly",
}
_HYPERTABLES = {
    "hypertable": """
        SELECT hypertable_name, concat_ws(' ', column_name, time_interval)
        FROM timescaledb_information.dimensions""",
}
_TIMESCALEDB = {
    "columnstore": """
        SELECT hypertable::text, concat_ws(' ', segmentby, orderby)
        FROM timescaledb_information.hypertable_columnstore_settings""",
    "aggregate": """
        SELECT view_name::text, concat_ws(' ', materialized_only, compression_enabled,
          view_definition)
        FROM timescaledb_information.continuous_aggregates""",
    "job": """
        SELECT hypertable_name || '.' || proc_name, concat_ws(' ', schedule_interval, scheduled,
          config - 'hypertable_id' - 'mat_hypertable_id')
        FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL""",
}
# The number of a hypertable depends on how many there were before.
_NUMBERED = re.compile(r"(_materialized_hypertable_|cagg_watermark\()\d+")


def objects(server: Server, database: str) -> Objects:
    """All there is in the schema of a migrated database, but for what the extension made."""
    queries = dict(_QUERIES)
    if server.kind != "plain":
        queries |= _HYPERTABLES
    if server.kind == "timescaledb":
        queries |= _TIMESCALEDB
    everything = " UNION ALL ".join(
        f"SELECT '{what} ' || name::text, text::text FROM ({query}) AS found (name, text)"
        for what, query in queries.items()
    )
    return {
        _NUMBERED.sub(r"\1N", name): _NUMBERED.sub(r"\1N", text)
        for name, text in server.sql(everything, database)
    }


@cache
def fresh(server: Server) -> Objects:
    """All there is in a database that was migrated in one go."""
    return objects(server, server.migrated())


def differences(a: Objects, b: Objects) -> list[str]:
    """The objects that are not in both, or not the same."""
    return sorted(
        f"{name}: {a.get(name)!r} and {b.get(name)!r}"
        for name in a.keys() | b.keys()
        if a.get(name) != b.get(name)
    )
