"""All migrations as one file for psql, which finds out by itself what is left to do."""

from __future__ import annotations

from ai_hub import __version__
from ai_hub.config import Settings
from ai_hub.stores.postgres.migrations import (
    FOREIGN,
    FOREIGN_RELATIONS,
    LOCK,
    MIGRATIONS_TABLE,
    NEWER,
    NOT_LOADED,
    OLDEST_POSTGRESQL,
    OLDEST_TIMESCALEDB,
    OTHER_MODE,
    OTHER_OWNER,
    OTHER_TEXT,
    OWNERS,
    RESTATED,
    TIMESCALEDB_TOO_OLD,
    TOO_OLD,
    WHAT_A_MODE_IS,
    Migration,
    declarations,
    migrations,
    stored_relations,
)

_MODE = """CASE
    WHEN NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN 'plain'
    WHEN current_setting('timescaledb.license', true) = 'apache' THEN 'apache'
    ELSE 'timescaledb' END"""


def script(settings: Settings) -> str:
    """What `psql -v ON_ERROR_STOP=1 -f` runs on any server, any number of times."""
    return "\n".join(
        (
            f"-- The tables of ai-hub {__version__}, for psql: psql -v ON_ERROR_STOP=1 -f FILE\n"
            "-- It leaves out what was applied before.\n"
            "\\set ON_ERROR_STOP on\n"
            "SET client_min_messages = warning;\n"
            "SET statement_timeout = 0;\n"
            # Policies keep their intervals as text.
            "SET intervalstyle = 'postgres';\n"
            f"SELECT pg_advisory_lock({LOCK});\n",
            _refusals(),
            MIGRATIONS_TABLE,
            f"SELECT mode, mode = 'timescaledb' AS timescaledb, mode = 'apache' AS apache\n"
            f"  FROM (SELECT {_MODE} AS mode) AS found \\gset\n",
            *map(_guarded, migrations()),
            _retention(settings),
            f"SELECT pg_advisory_unlock({LOCK});\n",
        )
    )


def _guarded(migration: Migration) -> str:
    return (
        "SELECT NOT EXISTS (SELECT FROM ai_hub_migrations "
        f"WHERE number = {migration.number}) AS wanted \\gset\n"
        "\\if :wanted\n"
        "BEGIN;\n"
        f"{migration.text}"
        # A variable of psql, which quotes it.
        f"{migration.done(':' + _quoted('mode'))}"
        "COMMIT;\n"
        "\\endif\n"
    )


def _retention(settings: Settings) -> str:
    always = stored_relations("plain")
    besides = [name for name in stored_relations("timescaledb") if name not in always]
    return (
        "BEGIN;\n"
        + declarations(always, settings)
        + "\\if :timescaledb\n"
        + declarations(besides, settings)
        + "\\endif\n"
        + RESTATED
        + "COMMIT;\n"
    )


def _refusals() -> str:
    """A block that raises what the runner raises, before anything is written."""
    known = ", ".join(f"({one.number}, '{one.checksum}')" for one in migrations())
    modes = ", ".join(f"('{mode}', '{what}')" for mode, what in WHAT_A_MODE_IS.items())
    oldest = ", ".join(map(str, OLDEST_TIMESCALEDB))
    return f"""DO $$
DECLARE
  extension text := (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb');
  mode_now text := {_MODE};
  other text;
  other_mode text;
BEGIN
  SELECT * INTO other, other_mode FROM ({OWNERS.strip()}) AS owners (owner, asking);
  IF FOUND THEN
    RAISE EXCEPTION {_quoted(OTHER_OWNER)}, other, other_mode;
  END IF;
  IF current_setting('server_version_num')::int / 10000 < {OLDEST_POSTGRESQL} THEN
    RAISE EXCEPTION {_quoted(TOO_OLD)}, current_setting('server_version');
  END IF;
  IF string_to_array(substring(extension FROM '^[0-9.]+'), '.')::int[] < ARRAY[{oldest}] THEN
    RAISE EXCEPTION {_quoted(TIMESCALEDB_TOO_OLD)}, extension;
  END IF;
  IF extension IS NOT NULL AND current_setting('timescaledb.license', true) IS NULL THEN
    RAISE EXCEPTION {_quoted(NOT_LOADED)}, extension;
  END IF;
  IF to_regclass('ai_hub_migrations') IS NOT NULL THEN
    SELECT name INTO other FROM ai_hub_migrations
      WHERE number NOT IN (SELECT number FROM (VALUES {known}) AS known (number, checksum))
      ORDER BY number LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION {_quoted(NEWER)}, other, '{__version__}';
    END IF;
    SELECT mode INTO other_mode FROM ai_hub_migrations WHERE mode <> mode_now LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION {_quoted(OTHER_MODE)},
        (SELECT what FROM (VALUES {modes}) AS modes (mode, what) WHERE mode = other_mode),
        (SELECT what FROM (VALUES {modes}) AS modes (mode, what) WHERE mode = mode_now);
    END IF;
    SELECT name INTO other
      FROM ai_hub_migrations JOIN (VALUES {known}) AS known (number, checksum) USING (number)
      WHERE ai_hub_migrations.checksum <> known.checksum
      ORDER BY number LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION {_quoted(OTHER_TEXT)}, other, '{__version__}';
    END IF;
    PERFORM FROM ai_hub_migrations LIMIT 1;
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;
  other := ({FOREIGN_RELATIONS.strip()});
  IF other IS NOT NULL THEN
    RAISE EXCEPTION {_quoted(FOREIGN)}, other;
  END IF;
END
$$;
"""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
