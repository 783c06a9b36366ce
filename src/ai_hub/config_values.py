"""What settings take: a raw value from any source becomes a setting's value, or is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ai_hub.definitions.valid_range import ValidRange
from ai_hub.definitions.values import DAY, MAX_SERIES_LENGTH, Duration, Granularity, check_id
from ai_hub.errors import InvalidInput, shown
from ai_hub.storage.url import Url, is_url

MEMORY = ":memory:"
DUCKDB = "duckdb:///"
POSTGRES = ("postgresql://", "postgres://")
MEMORY_CACHE = "memory://"
StoreKind = Literal["embedded", "postgres"]
"""Which store a database URL names: the folder in `stores/`."""
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
_URLS = 'URLs of object storage with commas between, such as "s3://bucket/exports"'
_TOKEN = re.compile(r"[!-~]{0,8192}")
_HOST = re.compile(r"[0-9A-Za-z._:%-]+")
_PORT = r"[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_SERVER = rf"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:({_PORT}))?"
_USER = r"([^/?#]*@)?"
_CACHE = re.compile(
    rf"{MEMORY_CACHE}"
    rf"|rediss?://{_USER}{_SERVER}(/[0-9]*)?(\?[^#]*)?"
    rf"|rediss?\+sentinel://{_USER}{_SERVER}(,{_SERVER})*/[^/?#]+(/[0-9]+)?(\?[^#]*)?"
)
NO_CLUSTER = (
    "Redis Cluster is refused, as an asset's keys must change together and "
    "features:{tenant_id}:{asset_id}:{timestamp} has no hash tag to keep them on one node"
)
# Greedy to the last @: a password with an unescaped @ or / in it must not show either.
_PASSWORD = re.compile(r"(?:(?<=://)|^)([^:@/]*):(?!//).+@", re.DOTALL)
# What can hold no secret: no user, no parameter, and no colon but that of a port.
_PUBLIC = re.compile(r"([A-Za-z+]{0,20}:)?/{0,4}[^@:?#&;=]*(:[0-9]{0,5})?(/[^@:?#&;=]*)?")
_SCHEME = re.compile(r"[a-z+]{1,20}(?=:)", re.IGNORECASE)
_PASSWORD_PARAMETER = re.compile(r"([?&;][^=&;]*passw[^=&;]*=)[^&#]*", re.IGNORECASE)


# Parsers: a raw value from any source, or one already parsed, becomes the setting's value. What
# they refuse is a ValueError whose text completes the sentence "expected ...".


def whole(low: int, high: int | None = None) -> Callable[[object], int]:
    """A whole number within bounds."""
    expected = f"a whole number from {low} to {high}" if high else f"a whole number from {low} up"

    def parse(value: object) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if type(value) is not int or value < low or (high is not None and value > high):
            raise ValueError(expected)
        return value

    return parse


def one_of(*words: str) -> Callable[[object], str]:
    """One of some words, in upper or lower case."""

    def parse(value: object) -> str:
        word = value.lower() if isinstance(value, str) else ""
        if word not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return word

    return parse


Auth = Literal["none", "keys", "oidc"]
"""How a server learns who asks."""
_rate = whole(1, 1_000_000)
_NO_RATE = "none"


def rate(value: object) -> int | None:
    """Requests a second; None for any number of them."""
    if value is None or (isinstance(value, str) and value.lower() == _NO_RATE):
        return None
    try:
        return _rate(value)
    except ValueError as error:
        raise ValueError(f"{error}, or {_NO_RATE}") from None


def rate_text(value: int | None) -> str:
    """Requests a second as they are written."""
    return _NO_RATE if value is None else str(value)


def api_key(value: object) -> str:
    """What a server is asked with; empty for nothing."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError("a key such as aih_<id>_<secret>, on one line and without blanks")
    return value


def hidden(value: object) -> str:
    """A secret as it is shown: that there is one."""
    return "***" if value else ""


def refused_text(name: str, raw: object) -> str:
    """The value of a setting that was refused, as a message shows it: without what is secret."""
    if name == "api_key":
        return hidden(raw)
    mask = masked_malformed if name.endswith("_url") else masked
    return shown(mask(raw) if isinstance(raw, str) else raw)


def size(value: object) -> int:
    """Bytes: a number, or a text such as `64MiB`."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        value = int(match.group(1)) * _SIZE_UNITS[match.group(2).upper()]
    if type(value) is not int or value < 1:
        raise ValueError('a number of bytes, or a size such as "64MiB" or "10MB"')
    return value


def size_text(size: int) -> str:
    """A size as it can be given."""
    for unit in ("GiB", "MiB", "KiB"):
        count, rest = divmod(size, _SIZE_UNITS[unit.upper()])
        if not rest:
            return f"{count}{unit}"
    return str(size)


def granularity(value: object) -> Granularity:
    """The step to which times are truncated."""
    try:
        return value if isinstance(value, Granularity) else Granularity.of(value)
    except InvalidInput as error:
        raise ValueError(error.expected) from None


def granularity_text(granularity: Granularity) -> str:
    """A granularity as it can be given."""
    return str(granularity.step)


def path(value: object) -> Path:
    """The path of a directory."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("the path of a directory")
    return Path(value)


def valid_ranges(value: object) -> Mapping[str, ValidRange]:
    """Ranges by series: a text `load=0:500, solar=0:`, or a mapping of them."""
    expected = 'series and what their readings can be, such as "load=0:500, solar=0:"'
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        if not all(equals for _, equals, _ in parts):
            raise ValueError(expected)
        value = {series.strip(): limits.strip() for series, _, limits in parts}
    if not isinstance(value, Mapping):
        raise ValueError(expected)
    try:
        return {
            check_id("series", series, MAX_SERIES_LENGTH): ValidRange.of(limits)
            for series, limits in value.items()
        }
    except InvalidInput:
        raise ValueError(expected) from None


def valid_ranges_text(ranges: Mapping[str, ValidRange]) -> str:
    """Ranges as they can be given."""
    return ", ".join(f"{series}={limits}" for series, limits in ranges.items())


def umask(value: object) -> str:
    """The bits of rights that new files and directories do not have, as octal digits."""
    # No number: 27 in a file would be another one in octal.
    if not isinstance(value, str) or not re.fullmatch("0{0,2}[0-7]{1,2}", value):
        raise ValueError('a text of octal digits from "000" to "077", such as "027"')
    return f"{int(value, 8):03o}"


def host(value: object) -> str:
    """A host name or an address."""
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise ValueError('a host name or address without a port, such as "127.0.0.1"')
    return value


def hosts(value: object) -> tuple[str, ...]:
    """Host names and addresses: a text with commas, or a list."""
    names = value.split(",") if isinstance(value, str) else value
    if isinstance(names, list | tuple):
        found = tuple(one.strip() if isinstance(one, str) else "" for one in names)
        if all(one == "*" or _HOST.fullmatch(one) for one in found):
            return found
        if found == ("",):
            return ()
    raise ValueError('names or addresses without ports, such as "ai-hub,localhost", or "*"')


def hosts_text(names: tuple[str, ...]) -> str:
    """Names as they can be given."""
    return ",".join(names)


def export_urls(value: object) -> tuple[str, ...]:
    """URLs of object storage, one after the other with commas between them."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple):
        raise ValueError(_URLS)
    found = []
    for word in words:
        text = word.strip() if isinstance(word, str) else word
        try:
            url = Url.of(text) if is_url(text) else None
        except InvalidInput:
            raise ValueError(_URLS) from None
        if url is not None and url.scheme != "file":
            found.append(str(url))
        elif text or len(words) > 1:
            raise ValueError(_URLS)
    return tuple(found)


def flag(value: object) -> bool:
    """Yes or no."""
    word = str(value).lower()
    if not isinstance(value, str | bool | int) or word not in ("1", "true", "0", "false"):
        raise ValueError("1 or 0")
    return word in ("1", "true")


def flag_text(flag: bool) -> str:
    """A yes or no as it can be given."""
    return "1" if flag else "0"


def width(value: object) -> Duration:
    """An exact width."""
    try:
        return Duration.of(value)
    except InvalidInput as error:
        raise ValueError(error.expected) from None


def kept_for(value: object) -> Duration | None:
    """A width, or None for ever."""
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        return None
    try:
        return Duration.of(value)
    except InvalidInput as error:
        raise ValueError(f'{error.expected}, or "none" to keep all') from None


def every(value: object) -> Duration | None:
    """How often something is done; None for never."""
    try:
        return kept_for(value)
    except ValueError:
        expected = 'a width such as "1m" or "1h", or "none" for never'
        raise ValueError(expected) from None


def width_text(width: Duration | None) -> str:
    """A width as it can be given."""
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


def database_url(value: object) -> str:
    """The URL of an embedded database or of PostgreSQL."""
    if isinstance(value, str) and value.startswith(POSTGRES):
        return _postgres_url(value)
    path = value.removeprefix(DUCKDB) if isinstance(value, str) else ""
    if (
        not isinstance(value, str)
        or not value.startswith(DUCKDB)
        or not path
        or path.endswith("/")
        or "\0" in path
        # DuckDB takes :memory:name as a database in memory too: a typing error would lose data.
        or (path.startswith(MEMORY) and path != MEMORY)
    ):
        raise ValueError(
            "duckdb:///features.duckdb (a relative path), duckdb:////data/features.duckdb "
            "(an absolute one), duckdb:///:memory: or postgresql://user@host/database"
        )
    return value


def primary_url(value: object) -> str | None:
    """The URL of the primary of a standby; none is None."""
    if value is None or value == "none":
        return None
    if isinstance(value, str) and value.startswith(POSTGRES):
        return _postgres_url(value)
    raise ValueError("postgresql://user@host/database, or none")


def store_kind(url: str) -> StoreKind:
    """The store that a checked database URL names."""
    return "postgres" if url.startswith(POSTGRES) else "embedded"


def cache_url(value: object) -> str:
    """The URL of the cache in the process, of Redis or of its Sentinels."""
    if not isinstance(value, str) or not _CACHE.fullmatch(value):
        if isinstance(value, str) and "cluster" in value.partition("://")[0]:
            raise ValueError(f"one Redis server, or its Sentinels: {NO_CLUSTER}")
        raise ValueError(
            "memory://, redis://user:password@host:6379/0, rediss:// (with TLS) or "
            "redis+sentinel://host:26379,host:26379/service"
        )
    return value


def masked(text: str) -> str:
    """`text` with the password of a URL, if there is one, shown as `***`."""
    # Parameters first: an @ in one of them ends no password.
    return _PASSWORD.sub(r"\1:***@", _PASSWORD_PARAMETER.sub(r"\1***", text))


def masked_malformed(text: str) -> str:
    """A URL that is none as a message may show it: where a secret stands in it nobody can say.

    So it is whole if there can be none, and else nothing but its scheme.
    """
    if _PUBLIC.fullmatch(text) or text.startswith(f"{DUCKDB}:memory:"):
        return text
    scheme = _SCHEME.match(text)
    return f"{scheme[0] if scheme else ''}:***"
