"""One frozen settings value from arguments, environment and file; unknown keys are refused.

What wins: an argument, else the environment (`AI_HUB_PORT`), else the file (`port` in
`ai-hub.toml`, or in the file that `AI_HUB_CONFIG` names), else the default. The fields of
`Settings` are the one table of keys: a new setting is one field there, and nothing else moves.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ai_hub.definitions.values import DAY, MINUTE, SECOND, Duration, Granularity
from ai_hub.errors import ConfigError, InvalidInput, shown

PREFIX = "AI_HUB_"
FILE_VARIABLE = f"{PREFIX}CONFIG"
DEFAULT_FILE = Path("ai-hub.toml")

_MEMORY = ":memory:"
_DUCKDB = "duckdb:///"
_POSTGRES = ("postgresql://", "postgres://")
_WHOLE = re.compile(r"[0-9]{1,18}")
_SIZE = re.compile(r"([0-9]{1,18}) ?(|B|KB|MB|GB|KIB|MIB|GIB)", re.IGNORECASE)
_SIZE_UNITS = {
    "": 1,
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KIB": 1024,
    "MIB": 1024**2,
    "GIB": 1024**3,
}
_HOST = re.compile(r"[0-9A-Za-z._:%-]+")
# Greedy to the last @: a password with an unescaped @ or / in it must not show either.
_PASSWORD = re.compile(r"(?:(?<=://)|^)([^:@/]*):(?!//).+@", re.DOTALL)
_PASSWORD_PARAMETER = re.compile(r"([?&][^=&]*passw[^=&]*=)[^&#]*", re.IGNORECASE)


# Parsers: a raw value from any source, or one already parsed, becomes the setting's value. What
# they refuse is a ValueError whose text completes the sentence "expected ...".


def _whole(low: int, high: int | None = None) -> Callable[[object], int]:
    expected = f"a whole number from {low} to {high}" if high else f"a whole number from {low} up"

    def parse(value: object) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if type(value) is not int or value < low or (high is not None and value > high):
            raise ValueError(expected)
        return value

    return parse


def _size(value: object) -> int:
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        value = int(match.group(1)) * _SIZE_UNITS[match.group(2).upper()]
    if type(value) is not int or value < 1:
        raise ValueError('a number of bytes, or a size such as "64MiB" or "10MB"')
    return value


def _size_text(size: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        count, rest = divmod(size, _SIZE_UNITS[unit.upper()])
        if not rest:
            return f"{count}{unit}"
    return str(size)


def _granularity(value: object) -> Granularity:
    try:
        return value if isinstance(value, Granularity) else Granularity.of(value)
    except InvalidInput as error:
        raise ValueError(error.expected) from None


def _granularity_text(granularity: Granularity) -> str:
    return str(granularity.step)


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("the path of a directory")
    return Path(value)


def _host(value: object) -> str:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise ValueError('a host name or address without a port, such as "127.0.0.1"')
    return value


def _width(value: object) -> Duration:
    try:
        return Duration.of(value)
    except InvalidInput as error:
        raise ValueError(error.expected) from None


def _kept_for(value: object) -> Duration | None:
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        return None
    try:
        return Duration.of(value)
    except InvalidInput as error:
        raise ValueError(f'{error.expected}, or "none" to keep all') from None


def _width_text(width: Duration | None) -> str:
    if width is None:
        return "none"
    days, rest = divmod(width.micros, DAY)
    return str(width) if rest else f"{days}d"


def _postgres_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.port != 0 and "\0" not in value and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("postgresql://user:password@host:5432/database")
    return value


def _database_url(value: object) -> str:
    if isinstance(value, str) and value.startswith(_POSTGRES):
        return _postgres_url(value)
    path = value.removeprefix(_DUCKDB) if isinstance(value, str) else ""
    if (
        not isinstance(value, str)
        or not value.startswith(_DUCKDB)
        or not path
        or path.endswith("/")
        or "\0" in path
        # DuckDB takes :memory:name as a database in memory too: a typing error would lose data.
        or (path.startswith(_MEMORY) and path != _MEMORY)
    ):
        raise ValueError(
            "duckdb:///features.duckdb (a relative path), duckdb:////data/features.duckdb "
            "(an absolute one), duckdb:///:memory: or postgresql://user@host/database"
        )
    return value


def _cache_url(value: object) -> str:
    if value != "memory://":
        raise ValueError("memory:// (the one cache of this release)")
    return "memory://"


def masked(text: str) -> str:
    """`text` with the password of a URL, if there is one, shown as `***`."""
    return _PASSWORD_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


@dataclass(frozen=True, slots=True)
class Key:
    """What the table below says of a setting, beside its name, type and default."""

    parse: Callable[[object], object]
    help: str
    text: Callable[[Any], str] = str


def _key(
    parse: Callable[[object], object], help: str, text: Callable[[Any], str] = str
) -> Mapping[str, Key]:
    return {"key": Key(parse, help, text)}


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Every setting of a store, a server and the commands, checked when built.

    Relative paths are relative to the working directory. `sources` says of each key where its
    value came from: "default", "file ai-hub.toml", "environment AI_HUB_PORT" or "argument" (as is
    everything in a value that was built without `load`).
    """

    database_url: str = field(
        default="duckdb:///features.duckdb",
        metadata=_key(
            _database_url, "where observations are kept: a file, duckdb:///:memory: or PostgreSQL"
        ),
    )
    pool_size: int = field(
        default=4,
        metadata=_key(_whole(1, 1000), "most connections of one process to PostgreSQL"),
    )
    connect_timeout: Duration = field(
        default=Duration(5 * SECOND),
        metadata=_key(_width, "longest wait for a connection to PostgreSQL", _width_text),
    )
    statement_timeout: Duration = field(
        default=Duration(60 * SECOND),
        metadata=_key(_width, "longest that PostgreSQL works on one statement", _width_text),
    )
    retention_raw: Duration | None = field(
        default=Duration(7 * DAY),
        metadata=_key(
            _kept_for,
            "how long timeseries_data is kept, on PostgreSQL; none keeps all",
            _width_text,
        ),
    )
    retention_features: Duration | None = field(
        default=Duration(90 * DAY),
        metadata=_key(
            _kept_for, "how long ai_features is kept, on PostgreSQL; none keeps all", _width_text
        ),
    )
    retention_weather: Duration | None = field(
        default=Duration(365 * DAY),
        metadata=_key(
            _kept_for,
            "how long weather_features is kept, on PostgreSQL; none keeps all",
            _width_text,
        ),
    )
    retention_hourly: Duration | None = field(
        default=Duration(365 * DAY),
        metadata=_key(
            _kept_for,
            "how long hourly_features is kept, on TimescaleDB; none keeps all",
            _width_text,
        ),
    )
    retention_daily: Duration | None = field(
        default=Duration(730 * DAY),
        metadata=_key(
            _kept_for,
            "how long daily_features is kept, on TimescaleDB; none keeps all",
            _width_text,
        ),
    )
    retention_notice: Duration = field(
        default=Duration(7 * DAY),
        metadata=_key(
            _width,
            "how long before old data that came in late is deleted you are told",
            _width_text,
        ),
    )
    cache_url: str = field(
        default="memory://",
        metadata=_key(_cache_url, "where answers are cached"),
    )
    cache_ttl: int = field(
        default=300,
        metadata=_key(_whole(1), "seconds that a cached answer lives"),
    )
    granularity: Granularity = field(
        default=Granularity(Duration(MINUTE)),
        metadata=_key(
            _granularity, "step to which the time of a request is truncated", _granularity_text
        ),
    )
    export_root: Path = field(
        default=Path("exports"),
        metadata=_key(_path, "directory that exports are written to"),
    )
    max_body: int = field(
        default=64 * 1024**2,
        metadata=_key(_size, "largest body of a request", _size_text),
    )
    host: str = field(
        default="127.0.0.1",
        metadata=_key(_host, "address that the server listens on"),
    )
    port: int = field(
        default=8003,
        metadata=_key(_whole(1, 65535), "port that the server listens on"),
    )
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        sources = {}
        for name, key in KEYS.items():
            raw = getattr(self, name)
            source = sources[name] = self.sources.get(name, "argument")
            try:
                value = key.parse(raw)
            except ValueError as error:
                got = shown(masked(raw) if isinstance(raw, str) else raw)
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
            *_from_file(file, variables.get(FILE_VARIABLE)),
            *_from_environment(variables),
            *_from_arguments(overrides),
        ):
            values[name], sources[name] = value, source
        return cls(**values, sources=sources)

    @property
    def on_server(self) -> bool:
        """Whether the database is a PostgreSQL server, which many processes may use at once."""
        return self.database_url.startswith(_POSTGRES)

    @property
    def database_path(self) -> Path | None:
        """The absolute path of the embedded database's file; None for one in memory or a server."""
        if self.on_server:
            return None
        path = self.database_url.removeprefix(_DUCKDB)
        return None if path == _MEMORY else Path(path).absolute()

    @property
    def database_name(self) -> str:
        """The database as messages name it: a file's path, `:memory:`, or a URL without a user."""
        if not self.on_server:
            return str(self.database_path or _MEMORY)
        # To the last @: a password may hold one that is not escaped.
        place = self.database_url.partition("://")[2].partition("?")[0].rpartition("@")[2]
        return f"postgresql://{place}"

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


def variable(name: str) -> str:
    """The environment variable of a key."""
    return PREFIX + name.upper()


_Given = list[tuple[str, object, str]]
"""What one source says: (key, raw value, source) of each."""


def _from_file(file: Path | None, named: str | None) -> _Given:
    path, origin = DEFAULT_FILE, "working directory"
    if file is not None:
        path, origin = file, "argument"
    elif named is not None:
        path, origin = Path(named), f"environment {FILE_VARIABLE}"
    try:
        # utf-8-sig: some editors put a byte-order mark first, which TOML does not know.
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        if path is DEFAULT_FILE:
            return []
        raise ConfigError(f"{path} ({origin}): there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{path} ({origin}): cannot be read: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise ConfigError(f"{path} ({origin}): is not a TOML file: {error}") from None
    source = f"file {path}"
    for written in table:
        if written not in KEYS:
            raise _unknown(written, source, KEYS)
    return [(name, value, source) for name, value in table.items()]


def _from_environment(environ: Mapping[str, str]) -> _Given:
    known = {variable(name): name for name in KEYS}
    given: _Given = []
    for written in sorted(environ):
        if written in known:
            given.append((known[written], environ[written], f"environment {written}"))
        elif written.startswith(PREFIX) and written != FILE_VARIABLE:
            raise _unknown(written, "environment", (*known, FILE_VARIABLE))
    return given


def _from_arguments(overrides: Mapping[str, object]) -> _Given:
    for written in overrides:
        if written not in KEYS:
            raise _unknown(written, "argument", KEYS)
    return [(name, value, "argument") for name, value in overrides.items() if value is not None]


def _unknown(written: str, source: str, known: Iterable[str]) -> ConfigError:
    import difflib  # needed on the way to an error only

    plain = {name.removeprefix(PREFIX).lower(): name for name in known}
    wanted = written.upper().removeprefix(PREFIX).replace("-", "_").lower()
    close = difflib.get_close_matches(wanted, plain, n=1)
    known_ones = f"did you mean {plain[close[0]]}?" if close else f"known: {', '.join(known)}"
    return ConfigError(f"{written} ({source}): there is no such setting; {known_ones}")
