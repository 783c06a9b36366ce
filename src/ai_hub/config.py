"""One frozen settings value from arguments, environment and file; unknown keys are refused.

What wins: an argument, else the environment (`AI_HUB_PORT`), else the file (`port` in
`ai-hub.toml`, or in the file that `AI_HUB_CONFIG` names), else the default. The fields of
`Settings` are the one table of keys: a new setting is one field there, and nothing else moves.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, assert_never

from ai_hub import config_tokens as tokens
from ai_hub import config_values as parse
from ai_hub.config_keys import Key, setting
from ai_hub.config_sources import (
    DEFAULT_FILE,
    FILE_SOURCE,
    FILE_VARIABLE,
    from_arguments,
    from_environment,
    from_file,
    from_guide,
)
from ai_hub.config_sources import variable as variable
from ai_hub.config_values import masked as masked
from ai_hub.definitions.valid_range import ValidRange
from ai_hub.definitions.values import DAY, HOUR, MINUTE, SECOND, Duration, Granularity
from ai_hub.errors import ConfigError


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Every setting of a store, a server and the commands, checked when built.

    Relative paths are relative to the working directory. `sources` says of each key where its
    value came from: "default", "file ai-hub.toml", "environment AI_HUB_PORT" or "argument".
    """

    database_url: str = setting(
        "duckdb:///features.duckdb",
        parse.database_url,
        "where observations are kept: a file, duckdb:///:memory: or PostgreSQL",
    )
    primary_url: str | None = setting(
        None,
        parse.primary_url,
        "where exports are recorded while database_url is a standby",
        lambda url: url or "none",
    )
    pool_size: int = setting(
        4, parse.whole(1, 1000), "most connections of one process to PostgreSQL"
    )
    connect_timeout: Duration = setting(
        Duration(5 * SECOND),
        parse.width,
        "longest wait for a connection to PostgreSQL",
        parse.width_text,
    )
    statement_timeout: Duration = setting(
        Duration(60 * SECOND),
        parse.width,
        "longest that PostgreSQL works on one statement",
        parse.width_text,
    )
    view_timeout: Duration = setting(
        Duration(SECOND // 2),
        parse.width,
        "longest that an answer waits for a view of one's own; then its features are missing",
        parse.width_text,
    )
    patience: Duration = setting(
        Duration(SECOND),
        parse.width,
        "longest that a request waits for the database; then its answer is degraded",
        parse.width_text,
    )
    retention_raw: Duration | None = setting(
        Duration(7 * DAY),
        parse.kept_for,
        "how long timeseries_data is kept, on PostgreSQL; none keeps all",
        parse.width_text,
    )
    retention_features: Duration | None = setting(
        Duration(90 * DAY),
        parse.kept_for,
        "how long ai_features is kept, on PostgreSQL; none keeps all",
        parse.width_text,
    )
    retention_weather: Duration | None = setting(
        Duration(365 * DAY),
        parse.kept_for,
        "how long weather_features is kept, on PostgreSQL; none keeps all",
        parse.width_text,
    )
    retention_hourly: Duration | None = setting(
        Duration(365 * DAY),
        parse.kept_for,
        "how long hourly_features is kept, on TimescaleDB; none keeps all",
        parse.width_text,
    )
    retention_daily: Duration | None = setting(
        Duration(730 * DAY),
        parse.kept_for,
        "how long daily_features is kept, on TimescaleDB; none keeps all",
        parse.width_text,
    )
    retention_audit: Duration | None = setting(
        Duration(730 * DAY),
        parse.kept_for,
        "how long records of who changed what are kept; none keeps all",
        parse.width_text,
    )
    retention_notice: Duration = setting(
        Duration(7 * DAY),
        parse.width,
        "how long before old data that came in late is deleted you are told",
        parse.width_text,
    )
    cache_url: str = setting(
        parse.MEMORY_CACHE, parse.cache_url, "where answers are cached: in the process, or on Redis"
    )
    cache_timeout: Duration = setting(
        Duration(SECOND // 10), parse.width, "longest wait for an answer of Redis", parse.width_text
    )
    cache_ttl: int = setting(300, parse.whole(1), "seconds that a cached answer lives")
    warm_ahead: bool = setting(
        False,
        parse.flag,
        "what was asked for in the last step is ready before the next",
        parse.flag_text,
    )
    drift_flush: Duration | None = setting(
        Duration(MINUTE),
        parse.every,
        "how often sketches of what was served are added to the database; none makes none",
        parse.width_text,
    )
    drift_check: Duration | None = setting(
        Duration(HOUR),
        parse.every,
        "how often a server looks for drift, for its metrics and its log; none never does",
        parse.width_text,
    )
    granularity: Granularity = setting(
        Granularity(Duration(MINUTE)),
        parse.granularity,
        "step to which the time of a request is truncated",
        parse.granularity_text,
    )
    export_root: Path = setting(
        Path("exports"), parse.path, "directory that exports are written to"
    )
    export_urls: tuple[str, ...] = setting(
        (),
        parse.export_urls,
        "URLs, with commas, below which exports asked for over HTTP may land",
        parse.hosts_text,
    )
    export_jobs: int = setting(2, parse.whole(1, 64), "exports that one process makes at a time")
    export_queue: int = setting(
        8, parse.whole(0, 10_000), "exports that may wait; one more is refused"
    )
    export_rows: int = setting(200_000_000, parse.whole(1), "most rows of one export")
    umask: str = setting("077", parse.umask, "rights that new files and directories do not have")
    max_body: int = setting(64 * 1024**2, parse.size, "largest body of a request", parse.size_text)
    valid_ranges: Mapping[str, ValidRange] = field(
        default_factory=dict,
        hash=False,
        metadata={
            "key": Key(
                parse.valid_ranges,
                "readings that can be, by series, such as load=0:500, solar=0:; "
                "others are rejected",
                parse.valid_ranges_text,
            )
        },
    )
    max_request: int = setting(
        1024**2, parse.size, "largest body of one that brings no table", parse.size_text
    )
    max_head: int = setting(
        64 * 1024, parse.size, "most bytes of its target and headers", parse.size_text
    )
    head_timeout: Duration = setting(
        Duration(10 * SECOND), parse.width, "longest that its head may take", parse.width_text
    )
    body_timeout: Duration = setting(
        Duration(30 * SECOND),
        parse.width,
        "longest that a client may be silent in between",
        parse.width_text,
    )
    keep_alive: Duration = setting(
        Duration(75 * SECOND), parse.width, "how long an idle connection is kept", parse.width_text
    )
    host: str = setting("127.0.0.1", parse.host, "address that the server listens on")
    allowed_hosts: tuple[str, ...] = setting(
        ("localhost",),
        parse.hosts,
        "names that it may be asked by besides its address, with commas",
        parse.hosts_text,
    )
    insecure: bool = setting(
        False, parse.flag, "listen for other machines, though all may do all", parse.flag_text
    )
    auth: parse.Auth = setting(
        "none",
        parse.one_of("none", "keys", "oidc"),
        "who may ask: all who reach the server, who has a key, or a token of an issuer",
    )
    oidc_issuer: str = setting("", tokens.issuer, "who issues tokens: its address, their claim iss")
    oidc_audience: tuple[str, ...] = setting(
        (), tokens.words, "what tokens must be for, with commas: their claim aud", parse.hosts_text
    )
    oidc_algorithms: tuple[str, ...] = setting(
        (), tokens.algorithms, "how they may be signed, such as RS256", parse.hosts_text
    )
    oidc_keys: str = setting(
        "", tokens.key_set, "the public keys: an address or a file; by default as the issuer says"
    )
    oidc_refresh: Duration = setting(
        Duration(5 * MINUTE), parse.width, "how often they are read again", parse.width_text
    )
    oidc_who: str = setting("sub", tokens.claim, "claim that names who asks")
    oidc_tenants: str = setting("ai_hub_tenants", tokens.claim, "claim with tenants; * is all")
    oidc_scopes: str = setting("scope", tokens.claim, "claim with scopes")
    oidc_scope_prefix: str = setting("", tokens.prefix, "what scopes of ours begin with in tokens")
    rate_limit: int | None = setting(
        None,
        parse.rate,
        "requests a second that one key may make of one process; none: any number",
        parse.rate_text,
    )
    api_key: str = setting("", parse.api_key, "key with which commands ask a server", parse.hidden)
    port: int = setting(8003, parse.whole(1, 65535), "port that the server listens on")
    workers: int = setting(
        1, parse.whole(1, 256), "processes that serve; several need PostgreSQL and Redis"
    )
    log_level: str = setting(
        "info", parse.one_of("debug", "info", "warning", "error"), "least that the server's log has"
    )
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        sources = {}
        for name, key in KEYS.items():
            raw = getattr(self, name)
            given = "default" if raw == DEFAULTS[name] else "argument"
            source = sources[name] = self.sources.get(name, given)
            try:
                value = key.parse(raw)
            except ValueError as error:
                got = parse.refused_text(name, raw)
                raise ConfigError(f"{name} ({source}): got {got}, expected {error}") from None
            object.__setattr__(self, name, value)
        object.__setattr__(self, "sources", sources)

    @classmethod
    def load(
        cls,
        file: Path | None = None,
        environ: Mapping[str, str] | None = None,
        **overrides: object,
    ) -> Settings:
        """The settings in force; an override of None counts as not given.

        Without `file`, the file is the one that AI_HUB_CONFIG names, else `ai-hub.toml` in the
        working directory if there is one. Raises ConfigError for a key that does not exist and
        for a value that is not what its key takes, naming key and source.
        """
        variables = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        sources = dict.fromkeys(KEYS, "default")
        for name, value, source in (
            *from_file(KEYS, file, variables.get(FILE_VARIABLE)),
            *from_guide(variables),
            *from_environment(KEYS, variables),
            *from_arguments(KEYS, overrides),
        ):
            values[name], sources[name] = value, source
        return cls(**values, sources=sources)

    def says(self, name: str) -> bool:
        """Whether somebody gave a setting, rather than leave it at its default."""
        return self.sources[name] != "default"

    @property
    def store_kind(self) -> parse.StoreKind:
        """Which store the database URL names."""
        return parse.store_kind(self.database_url)

    @property
    def on_server(self) -> bool:
        """Whether the database is a server, which many processes may use at once."""
        match self.store_kind:
            case "embedded":
                return False
            case "postgres":
                return True
            case unknown:
                assert_never(unknown)

    @property
    def cache_shared(self) -> bool:
        """Whether other processes see what is cached, and drop from it what they write."""
        return self.cache_url != parse.MEMORY_CACHE

    @property
    def database_path(self) -> Path | None:
        """The absolute path of the embedded database's file; None for one in memory or a server."""
        match self.store_kind:
            case "embedded":
                path = self.database_url.removeprefix(parse.DUCKDB)
                return None if path == parse.MEMORY else Path(path).absolute()
            case "postgres":
                return None
            case unknown:
                assert_never(unknown)

    @property
    def own_files(self) -> tuple[Path, ...]:
        """The absolute paths of the files that these settings may come from."""
        named = os.environ.get(FILE_VARIABLE)
        found = [DEFAULT_FILE, *([] if named is None else [Path(named)])]
        found += [
            Path(source.removeprefix(FILE_SOURCE))
            for source in self.sources.values()
            if source.startswith(FILE_SOURCE)
        ]
        return tuple(dict.fromkeys(path.absolute() for path in found))

    @property
    def database_name(self) -> str:
        """The database as messages name it: a file's path, `:memory:`, or a URL without a user."""
        match self.store_kind:
            case "embedded":
                return str(self.database_path or parse.MEMORY)
            case "postgres":
                # To the last @: a password may hold one that is not escaped.
                place = self.database_url.partition("://")[2].partition("?")[0].rpartition("@")[2]
                return f"postgresql://{place}"
            case unknown:
                assert_never(unknown)

    def shown(self) -> list[tuple[str, str, str]]:
        """(key, value as text, source) of every setting, passwords masked."""
        return [
            (name, masked(key.text(getattr(self, name))), self.sources[name])
            for name, key in KEYS.items()
        ]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value, _ in self.shown())})"


KEYS: Mapping[str, Key] = {f.name: f.metadata["key"] for f in fields(Settings) if f.metadata}
"""The table of keys, in the order in which they are shown."""
DEFAULTS: Mapping[str, object] = {f.name: f.default for f in fields(Settings)}
