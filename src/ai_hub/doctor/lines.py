"""Every line that the doctor may say: what it looks at, when it is no longer ok, what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["everywhere", "PostgreSQL", "TimescaleDB", "Redis"]


@dataclass(frozen=True, slots=True)
class Described:
    """A line, for people; `symptoms` are those of the guide's chapter on troubleshooting."""

    name: str
    where: Where
    looks_at: str
    wrong: str
    mends: str
    symptoms: str = ""


_SLOW, _MISSING = "slow feature computation", "missing features"
_CACHING, _EXPORTS = "features not caching", "export fails"

LINES = (
    Described(
        "database", "everywhere", "whether it can be opened, and how soon it answers",
        "fault: it cannot be; warning: over 500 ms",
        "what the sentence says; `ai-hub migrate` where there is no file; a slow one only you can",
        _SLOW,
    ),
    Described(
        "migrations", "everywhere", "whether its tables are those of this release",
        "fault: they are not", "`ai-hub migrate`", _MISSING,
    ),
    Described(
        "versions", "everywhere", "versions of the server and its extension",
        "warning: a newer TimescaleDB is installed than this database has",
        "`psql ... ALTER EXTENSION timescaledb UPDATE`",
    ),
    Described(
        "standby", "everywhere", "whether it takes writes",
        "warning: a standby, and no primary is named", "`export AI_HUB_PRIMARY_URL=URL`", _EXPORTS,
    ),
    Described(
        "indexes", "PostgreSQL", "the keys of 7 tables and 2 aggregates, and whether the "
        "statements that requests run use them (EXPLAIN)",
        "fault: a key is gone; warning: a statement does not use it",
        "`psql ...`, which makes it again, or `REINDEX TABLE`", _SLOW,
    ),
    Described(
        "speed", "PostgreSQL", "how long those statements take",
        "warning: longer than `AI_HUB_PATIENCE`", "`export AI_HUB_PATIENCE=...`", _SLOW,
    ),
    Described(
        "triggers", "PostgreSQL", "the triggers that note what is written, by SQL too",
        "fault: one is gone or disabled", "`psql ... CREATE TRIGGER`, or `ENABLE TRIGGER`",
        _MISSING,
    ),
    Described(
        "functions", "PostgreSQL", "functions of our names beside ours, such as those of the guide",
        "warning: calls are ambiguous", "`psql ... DROP FUNCTION`",
    ),
    Described(
        "vacuum", "PostgreSQL", "dead rows, as the server counts them",
        "warning: over 10,000 and a fifth of a table", "`psql ... VACUUM (ANALYZE)`", _SLOW,
    ),
    Described(
        "retention", "PostgreSQL", "settings against what `ai-hub retention set` said",
        "warning: a setting is ignored", "`ai-hub retention set`", _MISSING,
    ),
    Described(
        "policies", "TimescaleDB", "policies of retention, refresh and columnstore, foreign ones "
        "too", "fault: a foreign one deletes or empties; warning: one is missing",
        "`ai-hub migrate`, or `psql ... delete_job`, `alter_job`, `add_columnstore_policy`",
        _MISSING,
    ),
    Described(
        "jobs", "TimescaleDB", "jobs of the server that should refresh",
        "warning: they fail, or did not run", "`psql ... alter_job`, once its cause is gone", _SLOW,
    ),
    Described(
        "aggregates", "TimescaleDB", "up to when they are refreshed, and late rows since",
        "warning: 3 hours behind the newest readings, late rows, or never",
        "`ai-hub maintain`", _SLOW,
    ),
    Described(
        "rows", "TimescaleDB", "whether the aggregate has the rows of 20 series' newest 48 hours",
        "fault: it does not, and nobody noted that", "`ai-hub maintain --rebuild FROM TO`",
        _MISSING,
    ),
    Described(
        "readings", "everywhere", "tenants, assets and series", "warning: there are none",
        "`ai-hub ingest FILE --tenant TENANT`", _MISSING,
    ),
    Described(
        "late", "everywhere", "the newest reading of each series",
        "warning: over 4 of its steps and an hour behind its tenant's newest, or 26 hours old",
        "`ai-hub ingest FILE --tenant TENANT`", _MISSING,
    ),
    Described(
        "gaps", "everywhere", "steps between readings of two weeks",
        "warning: one over 3 usual steps and half an hour",
        "`ai-hub ingest FILE --tenant TENANT`", _MISSING,
    ),
    Described(
        "flat", "everywhere", "values that stay the same and did not before",
        "warning: a day or more (0: three days)", "`ai-hub ingest FILE --tenant TENANT`",
    ),
    Described(
        "future", "everywhere", "readings of times to come", "warning: there are some",
        "`ai-hub delete --tenant T --asset A --series S --from TIME --yes`", _MISSING,
    ),
    Described(
        "arrivals", "PostgreSQL", "the share that came in a day late or more",
        "warning: over 25 %, those of a first load aside",
        "`ai-hub ingest FILE --tenant TENANT`, sooner", _MISSING,
    ),
    Described(
        "quality", "everywhere", "the share with a quality below 1", "warning: over 10 %",
        "`ai-hub ingest FILE --tenant TENANT`", _MISSING,
    ),
    Described(
        "weather", "everywhere", "weather of the last 24 hours, of tenants that have any",
        "warning: an asset has none",
        "`ai-hub weather-source ...`, or `ai-hub ingest-weather FILE --tenant TENANT`", _MISSING,
    ),
    Described(
        "cache", "everywhere", "whether Redis can be used, and how soon it answers",
        "fault: it cannot", "`redis-cli ... ping` until it answers", _CACHING,
    ),
    Described(
        "keys", "Redis", "the form `features:TENANT:ASSET:TIME` and kind of up to 2,000 keys",
        "fault: keys of another program; warning: times that are no step of ours",
        "`redis-cli ... UNLINK`", _CACHING,
    ),
    Described(
        "ttl", "Redis", "the time to live of the same keys",
        "fault: a key never ends; warning: it lives longer than `AI_HUB_CACHE_TTL`",
        "`redis-cli ... UNLINK`", _CACHING,
    ),
    Described(
        "memory", "Redis", "its memory, limit and policy",
        "warning: a limit with `noeviction`; fault: it is full besides",
        "`redis-cli ... CONFIG SET maxmemory-policy volatile-ttl`", _CACHING,
    ),
    Described(
        "hit_rate", "everywhere", "look-ups that found something: of Redis, or of the server since "
        "it was warmed",
        "warning: under 20 % of at least 1,000", "`ai-hub warm --tenant TENANT`, of Redis "
        "with `CONFIG RESETSTAT`, as it counts since it started", _CACHING,
    ),
    Described(
        "folder", "everywhere", "whether the export root can be written", "fault: it cannot",
        "`chmod u+rwx ...`, or `mv` of what has its name", _EXPORTS,
    ),
    Described(
        "space", "everywhere", "room for exports, and for the database's file",
        "warning: under 2 GB or 5 %; fault: under 200 MB",
        "you make room, or `export AI_HUB_EXPORT_ROOT=FOLDER`",
        _EXPORTS,
    ),
    Described(
        "exports", "everywhere", "exports that are called processing",
        "fault: nobody writes one any more", "`ai-hub exports`", _EXPORTS,
    ),
    Described(
        "half_files", "everywhere", "half files below the export root",
        "warning: there are some that nobody writes", "`rm -r -- ...`", _EXPORTS,
    ),
    Described(
        "files", "everywhere", "the sizes of the newest 200 exports on this machine",
        "warning: one is not as it was written", "`ai-hub export ... --force`", _EXPORTS,
    ),
    Described(
        "archive", "everywhere", "what is archived, where, up to when and whether it is verified; "
        "and whether it is there",
        "warning: its newest manifest cannot be read, or is another one; a layer is not verified",
        "`ai-hub archives` shows what it has; `ai-hub archive ...` verifies", _EXPORTS,
    ),
    Described(
        "clock", "everywhere", "this machine's clock beside those of PostgreSQL and Redis",
        "warning: 2 seconds apart; fault: 30 seconds", "you do: NTP on both machines", _MISSING,
    ),
    Described(
        "workers", "everywhere", "`AI_HUB_WORKERS`",
        "fault: several without PostgreSQL and Redis", "`export AI_HUB_WORKERS=1`",
    ),
    Described(
        "timeouts", "everywhere", "limits inside each other: a view and the cache within "
        "`AI_HUB_PATIENCE`, all within `AI_HUB_STATEMENT_TIMEOUT`",
        "warning: a shorter one is the longer", "`export AI_HUB_...`", _SLOW,
    ),
    Described(
        "cache_ttl", "everywhere", "`AI_HUB_CACHE_TTL` beside `AI_HUB_GRANULARITY`",
        "warning: it is shorter than a step", "`export AI_HUB_CACHE_TTL=...`", _CACHING,
    ),
    Described(
        "access", "everywhere", "whether other machines reach the server, and who may ask",
        "fault: without keys it does not start; warning: `AI_HUB_INSECURE=1`",
        "`export AI_HUB_AUTH=keys`",
    ),
    Described(
        "access_keys", "everywhere", "keys, where they are asked for", "fault: none is valid",
        "`ai-hub keys create ...`",
    ),
    Described(
        "hosts", "everywhere", "`AI_HUB_ALLOWED_HOSTS`", "warning: * without keys",
        "`export AI_HUB_ALLOWED_HOSTS=localhost`",
    ),
    Described(
        "lookback", "PostgreSQL", "how far served sets look back, and what is kept",
        "warning: less is kept", "`ai-hub retention set ai_features ...`", _MISSING,
    ),
    Described(
        "connections", "PostgreSQL", "`AI_HUB_POOL_SIZE` of all processes, and max_connections",
        "warning: the server takes fewer", "`export AI_HUB_POOL_SIZE=...`", _SLOW,
    ),
    Described(
        "processes", "everywhere", "release, granularity, time to live and cache of the other "
        "processes, as their connections say",
        "warning: they are other ones", "`export AI_HUB_...`; another release only you can",
        _CACHING,
    ),
)  # fmt: skip
