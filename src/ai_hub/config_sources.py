"""Where settings come from: arguments, the environment, the guide's variables, a file."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from ai_hub.errors import ConfigError

PREFIX = "AI_HUB_"
FILE_VARIABLE = f"{PREFIX}CONFIG"
DEFAULT_FILE = Path("ai-hub.toml")
FILE_SOURCE = "file "
"""How the source of a value from a file begins."""
_GUIDE = ("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD")

Given = list[tuple[str, object, str]]
"""What one source says: (key, raw value, source) of each."""


def variable(name: str) -> str:
    """The environment variable of a key."""
    return PREFIX + name.upper()


def from_file(keys: Collection[str], file: Path | None, named: str | None) -> Given:
    """What a file says: the one given or named, else the one of the working directory."""
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
    source = f"{FILE_SOURCE}{path}"
    for written in table:
        if written not in keys:
            raise _unknown(written, source, keys)
    return [(name, value, source) for name, value in table.items()]


def from_guide(environ: Mapping[str, str]) -> Given:
    """The cache of REDIS_HOST, with REDIS_PORT and REDIS_PASSWORD; AI_HUB_CACHE_URL goes before."""
    # The host alone decides: Kubernetes sets a REDIS_PORT of its own for a service of that name.
    given = {name: environ[name] for name in _GUIDE if environ.get(name)}
    host = given.get("REDIS_HOST")
    if host is None:
        return []
    place = f"[{host}]" if ":" in host else host
    port = given.get("REDIS_PORT", "6379")
    password = given.get("REDIS_PASSWORD")
    secret = "" if password is None else f":{quote(password, safe='')}@"
    return [("cache_url", f"redis://{secret}{place}:{port}", f"environment {', '.join(given)}")]


def from_environment(keys: Collection[str], environ: Mapping[str, str]) -> Given:
    """What the environment says."""
    known = {variable(name): name for name in keys}
    given: Given = []
    for written in sorted(environ):
        if written in known:
            given.append((known[written], environ[written], f"environment {written}"))
        elif written.startswith(PREFIX) and written != FILE_VARIABLE:
            raise _unknown(written, "environment", (*known, FILE_VARIABLE))
    return given


def from_arguments(keys: Collection[str], overrides: Mapping[str, object]) -> Given:
    """What arguments say; None says nothing."""
    for written in overrides:
        if written not in keys:
            raise _unknown(written, "argument", keys)
    return [(name, value, "argument") for name, value in overrides.items() if value is not None]


def _unknown(written: str, source: str, known: Iterable[str]) -> ConfigError:
    import difflib  # needed on the way to an error only

    plain = {name.removeprefix(PREFIX).lower(): name for name in known}
    wanted = written.upper().removeprefix(PREFIX).replace("-", "_").lower()
    close = difflib.get_close_matches(wanted, plain, n=1)
    known_ones = f"did you mean {plain[close[0]]}?" if close else f"known: {', '.join(known)}"
    return ConfigError(f"{written} ({source}): there is no such setting; {known_ones}")
