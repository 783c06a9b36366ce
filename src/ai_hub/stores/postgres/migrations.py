"""The migrations of a PostgreSQL database: numbered SQL files, and what has to run of them where.

The files are written for psql. What differs between the modes stands between `\\if :timescaledb`,
`\\elif :apache`, `\\else` and `\\endif`, each on a line of its own, outside of statements.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from ai_hub import __version__
from ai_hub.config import Settings
from ai_hub.definitions.values import DAY, SECOND, Duration
from ai_hub.errors import NotMigrated, StoreRefused

Mode = Literal["plain", "apache", "timescaledb"]
"""No extension; TimescaleDB under the Apache licence; all of TimescaleDB."""

LOCK = 7_248_003_002
"""The advisory lock of a migration: others wait, and find nothing left to do."""
OLDEST_POSTGRESQL = 14
OLDEST_TIMESCALEDB = (2, 28, 3)

# Sentences with a % for each value, as RAISE has them: psql says the same as the runner.
TOO_OLD = (
    f"PostgreSQL % is too old: ai-hub needs {OLDEST_POSTGRESQL} or newer. Upgrade the server, or "
    "name another one in AI_HUB_DATABASE_URL."
)
TIMESCALEDB_TOO_OLD = (
    f"TimescaleDB % is too old: before {'.'.join(map(str, OLDEST_TIMESCALEDB))} it gives wrong "
    "deviations where avg and stddev of one column are read from the columnstore together. Install "
    "a newer one, restart the server and run ALTER EXTENSION timescaledb UPDATE in this database."
)
NOT_LOADED = (
    "This database has the extension TimescaleDB %, but the server has not loaded it. Set "
    "shared_preload_libraries = 'timescaledb' in postgresql.conf and restart the server."
)
OTHER_MODE = (
    "This database was migrated for % and the server now has %. Go back to what it was migrated "
    "for, or run ai-hub migrate on a new database and copy the rows of the tables over."
)
NEWER = (
    "This database has migration %, which ai-hub % does not know: a newer ai-hub migrated it. "
    "Upgrade ai-hub here, or name another database in AI_HUB_DATABASE_URL."
)
OTHER_TEXT = (
    "Migration % of this database has other content than in ai-hub %: some other build of "
    "ai-hub migrated it. Use that build, or migrate a new database and copy the rows over."
)
FOREIGN = (
    "This database already has relations of these names, which ai-hub did not create: %. Rename "
    "them (ALTER TABLE ... RENAME TO ...) or name another database in AI_HUB_DATABASE_URL, run "
    "ai-hub migrate, and then take their rows over with ai-hub adopt."
)
OTHER_OWNER = (
    "The tables of ai-hub in this database belong to %, and % may not change them: run ai-hub "
    "migrate as their owner, whom AI_HUB_DATABASE_URL then names."
)
MISSING = "This database does not have the tables of ai-hub: run ai-hub migrate."
PENDING = "This database lacks % of ai-hub %: run ai-hub migrate."

WHAT_A_MODE_IS: Mapping[Mode, str] = {
    "plain": "PostgreSQL without TimescaleDB",
    "apache": "TimescaleDB under the Apache licence",
    "timescaledb": "TimescaleDB with its full licence",
}

RETENTION_SETTINGS: Mapping[str, str] = {
    "timeseries_data": "retention_raw",
    "ai_features": "retention_features",
    "weather_features": "retention_weather",
    "hourly_features": "retention_hourly",
    "daily_features": "retention_daily",
}
"""The setting that says how long a relation's rows are kept."""
RESTATED = "UPDATE ai_hub_retention SET keep = keep;\n"
"""Puts the policies of TimescaleDB back as they are declared."""
RETENTION_MIGRATION = 2
"""The number of the migration from which on a database declares how long rows are kept."""
_VIEWS = ("hourly_features", "daily_features")

MIGRATIONS_TABLE = """CREATE TABLE IF NOT EXISTS ai_hub_migrations (
  number INT PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('plain', 'apache', 'timescaledb')),
  release TEXT NOT NULL,
  applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
"""

PROBE = """
SELECT current_setting('server_version') AS server_version,
  current_setting('server_version_num')::int / 10000 AS server_major,
  (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS extension_version,
  current_setting('timescaledb.license', true) AS license,
  to_regclass('ai_hub_migrations') IS NOT NULL AS migrated,
  EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') AS extension_installed
"""

# The owner of our tables and who asks, where the latter may not act as the former.
OWNERS = """
SELECT pg_get_userbyid(relowner), current_user FROM pg_class
WHERE oid = to_regclass('ai_hub_migrations') AND NOT pg_has_role(relowner, 'USAGE')
"""

# Relations that are there before the first migration without our keys and types: a text, or null.
FOREIGN_RELATIONS = """
SELECT string_agg(relname || ' (' || fault || ')', ', ' ORDER BY relname)
FROM (
  SELECT c.relname, CASE
      WHEN ours.key IS NULL AND c.relkind <> 'v' THEN 'not a view'
      WHEN ours.key IS NOT NULL AND c.relkind NOT IN ('r', 'p') THEN 'not a table'
      WHEN EXISTS (
        SELECT FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid = 'numeric'::regtype
      ) THEN 'with columns of type numeric'
      -- The key of weather sources is longer since migration 005.
      WHEN coalesce((
        SELECT string_agg(a.attname, ', ' ORDER BY k.place)
        FROM pg_index i
        CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts
      ), '') NOT IN (ours.key, ours.key || ', valid_from')
        THEN 'whose primary key is not ' || ours.key
    END AS fault
  FROM (VALUES
    ('timeseries_data', 'tenant_id, asset_id, feature_type, timestamp'),
    ('ai_features', 'tenant_id, asset_id, feature_type, timestamp'),
    ('weather_features', 'tenant_id, asset_id, timestamp, issued_at'),
    ('asset_weather_source', 'tenant_id, asset_id'),
    ('feature_exports', 'export_id'),
    ('asset_attributes', 'tenant_id, asset_id, key, valid_from'),
    ('feature_sets', 'name, version'),
    ('feature_set_defaults', 'name'),
    ('registry_revision', 'only_row'),
    ('feature_models', 'model, model_version'),
    ('feature_rollouts', 'name'),
    ('access_keys', 'key_id'),
    ('hourly_features', NULL),
    ('daily_features', NULL),
    ('forecast_basic_features', NULL),
    ('forecast_advanced_features', NULL),
    ('anomaly_detection_features', NULL)
  ) AS ours (name, key)
  JOIN pg_class c ON c.relname = ours.name
    AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
) AS found
WHERE fault IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number and name, and its text as psql reads it."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """What tells whether this text is the one that was applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def sql(self, mode: Mode) -> str:
        """The SQL that is sent to PostgreSQL in a mode."""
        return "\n".join(_lines_for(mode, self.text, self.name)) + "\n"

    def done(self, mode: str) -> str:
        """The statement that notes it as applied; `mode` is an SQL expression."""
        return (
            "INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES "
            f"({self.number}, '{self.name}', '{self.checksum}', {mode}, '{__version__}');\n"
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of ai_hub_migrations."""

    number: int
    name: str
    checksum: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What `PROBE` finds out about a server."""

    server_version: str
    server_major: int
    extension_version: str | None
    license: str | None
    migrated: bool = False
    extension_installed: bool = False

    @property
    def mode(self) -> Mode:
        """How much of TimescaleDB can be used."""
        if self.extension_version is None:
            return "plain"
        return "apache" if self.license == "apache" else "timescaledb"

    def check(self) -> None:
        """Raise StoreRefused if the server is not one that this release works with."""
        if self.server_major < OLDEST_POSTGRESQL:
            raise StoreRefused(said(TOO_OLD, self.server_version))
        if self.extension_version is None:
            return
        if version(self.extension_version) < OLDEST_TIMESCALEDB:
            raise StoreRefused(said(TIMESCALEDB_TOO_OLD, self.extension_version))
        if self.license is None:
            raise StoreRefused(said(NOT_LOADED, self.extension_version))


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration of this release, by number."""
    folder = resources.files("ai_hub.stores.postgres").joinpath("sql")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return tuple(
        # The checksum is of the text and not of the line ends of a checkout.
        Migration(
            int(file.name[:3]),
            file.name.removesuffix(".sql"),
            file.read_text("utf-8").replace("\r\n", "\n"),
        )
        for file in files
        if re.fullmatch(r"[0-9]{3}_\w+\.sql", file.name)
    )


def version(text: str) -> tuple[int, ...]:
    """`2.28.3-dev` as (2, 28, 3)."""
    return tuple(map(int, re.findall(r"[0-9]+", text.partition("-")[0])))


def said(sentence: str, *values: object) -> str:
    """A sentence with its values in place of the `%`."""
    parts = sentence.split("%")
    return "".join(part + str(value) for part, value in zip(parts, (*values, ""), strict=True))


def pending(applied: Iterable[Applied], mode: Mode) -> tuple[Migration, ...]:
    """The migrations of this release that are not applied yet.

    Raises NotMigrated for a database that another release migrated, StoreRefused for one that was
    migrated in another mode.
    """
    by_number = {row.number: row for row in applied}
    known = {one.number: one for one in migrations()}
    for number, row in sorted(by_number.items()):
        if number not in known:
            raise NotMigrated(said(NEWER, row.name, __version__))
        if row.mode != mode:
            then, now = WHAT_A_MODE_IS[row.mode], WHAT_A_MODE_IS[mode]
            raise StoreRefused(said(OTHER_MODE, then, now))
        if row.checksum != known[number].checksum:
            raise NotMigrated(said(OTHER_TEXT, row.name, __version__))
    return tuple(one for number, one in known.items() if number not in by_number)


def check_complete(applied: Iterable[Applied], mode: Mode) -> None:
    """Raise NotMigrated if something is left to do, and what `pending` raises."""
    if left := pending(applied, mode):
        raise NotMigrated(said(PENDING, ", ".join(one.name for one in left), __version__))


def stored_relations(mode: Mode) -> tuple[str, ...]:
    """The relations that keep rows of their own: without TimescaleDB the aggregates are views."""
    return tuple(name for name in RETENTION_SETTINGS if mode == "timescaledb" or name not in _VIEWS)


def retention_of(relation: str, settings: Settings) -> Duration | None:
    """How long the settings keep a relation's rows; None: for ever."""
    keep: Duration | None = getattr(settings, RETENTION_SETTINGS[relation])
    return keep


def declarations(relations: Iterable[str], settings: Settings) -> str:
    """The statements that declare how long rows are kept, where the settings say it by name.

    What `ai-hub retention set` said stands.
    """
    return "".join(
        f"SELECT ai_hub_keep(relation, {interval(retention_of(name, settings))}) "
        f"FROM ai_hub_retention WHERE relation = '{name}' AND set_at IS NULL;\n"
        for name in relations
        if settings.says(RETENTION_SETTINGS[name])
    )


def interval(keep: Duration | None) -> str:
    """A time that rows are kept, as an SQL expression; NULL for ever."""
    if keep is None:
        return "NULL"
    days, rest = divmod(keep.micros, DAY)
    if not rest:
        return f"INTERVAL '{days} days'"
    return f"INTERVAL '{keep.micros // SECOND}.{keep.micros % SECOND:06} seconds'"


def _lines_for(mode: Mode, text: str, name: str) -> Iterator[str]:
    """The lines of a text outside of branches, and those of the branch that is the mode's."""
    taken: bool | None = None  # None: outside; else whether a branch of this \\if was taken
    wanted = True
    for line in text.splitlines():
        word, _, variable = line.partition(" ")
        if not line.startswith("\\"):
            if wanted:
                yield line
            continue
        match word, variable, taken is None:
            case ("\\if", ":timescaledb" | ":apache", True) | (
                "\\elif",
                ":timescaledb" | ":apache",
                False,
            ):
                wanted = not taken and variable == f":{mode}"
            case "\\else", "", False:
                wanted = not taken
            case "\\endif", "", False:
                wanted, taken = True, None
                continue
            case _:
                raise ValueError(f"{name}: {line!r} is not a branch that a migration may have")
        taken = bool(taken) or wanted
    if taken is not None:
        raise ValueError(f"{name}: a branch without its \\endif")
