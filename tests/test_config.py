"""Settings: what wins, what is refused and how the refusal reads."""

import pickle
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from ai_hub.config import KEYS, Settings, masked, variable
from ai_hub.definitions.values import Granularity
from ai_hub.errors import ConfigError


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(**environ: str) -> Settings:
    return Settings.load(environ={variable(name): value for name, value in environ.items()})


def refusal(settings: dict[str, str] | None = None, **arguments: object) -> str:
    environ = {variable(name): value for name, value in (settings or {}).items()}
    with pytest.raises(ConfigError) as caught:
        Settings.load(environ=environ, **arguments)  # type: ignore[arg-type]
    return str(caught.value)


def test_defaults() -> None:
    settings = Settings.load(environ={})
    assert settings == Settings(
        database_url="duckdb:///features.duckdb",
        cache_url="memory://",
        cache_ttl=300,
        granularity=Granularity.of("1m"),
        export_root=Path("exports"),
        max_body=67_108_864,
        host="127.0.0.1",
        port=8003,
    )
    assert set(settings.sources.values()) == {"default"}


def test_every_field_is_a_key_and_every_key_has_help() -> None:
    assert [*KEYS, "sources"] == [f.name for f in fields(Settings)]
    assert all(key.help for key in KEYS.values())


def test_what_wins() -> None:
    Path("ai-hub.toml").write_text('host = "file"\nport = 1\ncache_ttl = 1\n')
    environ = {"AI_HUB_PORT": "2", "AI_HUB_CACHE_TTL": "2", "PATH": "/bin"}
    settings = Settings.load(environ=environ, cache_ttl=3, host=None)
    assert (settings.host, settings.port, settings.cache_ttl) == ("file", 2, 3)
    assert settings.sources["host"] == "file ai-hub.toml"
    assert settings.sources["port"] == "environment AI_HUB_PORT"
    assert settings.sources["cache_ttl"] == "argument"
    assert settings.sources["max_body"] == "default"


def test_which_file() -> None:
    Path("ai-hub.toml").write_text("port = 1")
    Path("named.toml").write_text("port = 2")
    Path("given.toml").write_text("port = 3")
    named = {"AI_HUB_CONFIG": "named.toml"}
    assert Settings.load(environ={}).port == 1
    assert Settings.load(environ=named).port == 2
    assert Settings.load(Path("given.toml"), environ=named).port == 3


def test_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_HUB_PORT", "9000")
    assert Settings.load().port == 9000


@pytest.mark.parametrize(
    "url",
    [
        "memory://",
        "redis://h",
        "redis://:secret@h:6379/0",
        "rediss://user:se%2Fcret@[::1]:6380/1?ssl_ca_certs=ca.pem",
        "redis+sentinel://:secret@a:26379,b,[::1]:26379/main/2?sentinel_password=secret",
    ],
)
def test_caches(url: str) -> None:
    settings = load(cache_url=url)
    assert settings.cache_url == url
    assert "cret" not in str(settings)


def test_the_cache_of_the_guides_variables() -> None:
    def cache(**environ: str) -> tuple[str, str]:
        settings = Settings.load(environ=environ)
        return settings.cache_url, settings.sources["cache_url"]

    Path("ai-hub.toml").write_text('cache_url = "memory://"')
    assert cache(REDIS_HOST="h") == ("redis://h:6379", "environment REDIS_HOST")
    assert cache(REDIS_HOST="::1", REDIS_PORT="1", REDIS_PASSWORD="p@/") == (
        "redis://:p%40%2F@[::1]:1",
        "environment REDIS_HOST, REDIS_PORT, REDIS_PASSWORD",
    )
    assert cache(REDIS_HOST="", REDIS_PORT="tcp://10.0.0.1:6379")[0] == "memory://"
    assert cache(REDIS_HOST="h", AI_HUB_CACHE_URL="redis://other") == (
        "redis://other",
        "environment AI_HUB_CACHE_URL",
    )
    with pytest.raises(ConfigError, match=r"cache_url \(environment REDIS_HOST, REDIS_PORT\): got"):
        cache(REDIS_HOST="h", REDIS_PORT="tcp://10.0.0.1:6379")


def test_a_file_with_a_byte_order_mark() -> None:
    Path("ai-hub.toml").write_bytes(b"\xef\xbb\xbfport = 1\r\n")
    assert Settings.load(environ={}).port == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("10MB", 10_000_000), ("64MiB", 67_108_864), ("2 gib", 2 << 30), ("512B", 512)],
)
def test_sizes(text: str, size: int) -> None:
    assert load(max_body=text).max_body == size


def test_shown_values_can_be_given_back() -> None:
    settings = load(granularity="1h", max_body="1000", export_root="/data/x", cache_ttl="60")
    assert load(**{name: text for name, text, _ in settings.shown()}) == settings
    assert ("granularity", "1h", "environment AI_HUB_GRANULARITY") in settings.shown()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("duckdb:///features.duckdb", "features.duckdb"),
        ("duckdb:///data/a b.duckdb", "data/a b.duckdb"),
        ("duckdb:////data/f.duckdb", "/data/f.duckdb"),
        ("duckdb:///:memory:", None),
    ],
)
def test_database_paths(url: str, path: str | None) -> None:
    expected = None if path is None else Path.cwd() / path
    assert load(database_url=url).database_path == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("database_url", "features.duckdb", "duckdb:///features.duckdb"),
        ("database_url", "duckdb://features.duckdb", "duckdb:///features.duckdb"),
        ("database_url", "duckdb:///", "duckdb:///features.duckdb"),
        ("database_url", "duckdb:///:memory:x", "duckdb:///:memory:"),
        ("database_url", "postgresql://h:port/db", "postgresql://user:password@host:5432/database"),
        ("cache_url", "memory", "redis://user:password@host:6379/0"),
        ("cache_url", "redis://", "redis://user:password@host:6379/0"),
        ("cache_url", "redis://h:65536", "redis://user:password@host:6379/0"),
        ("cache_url", "redis://h/cache", "redis://user:password@host:6379/0"),
        ("cache_url", "redis://a,b", "redis+sentinel://host:26379,host:26379/service"),
        ("cache_url", "redis+sentinel://a,b", "redis+sentinel://host:26379,host:26379/service"),
        ("cache_url", "redis+cluster://a", "an asset's keys must change together"),
        ("cache_timeout", "0ms", "a width such as"),
        ("cache_ttl", "0", "a whole number from 1 up"),
        ("cache_ttl", "5m", "a whole number from 1 up"),
        ("granularity", "fast", 'a width such as "24h", "90m" or "7d"'),
        ("granularity", "7m", "whole seconds that divide a day"),
        ("export_root", "", "the path of a directory"),
        ("umask", "0077x", 'octal digits from "000" to "077"'),
        ("umask", "700", 'octal digits from "000" to "077"'),
        ("umask", "78", 'octal digits from "000" to "077"'),
        ("export_jobs", "0", "a whole number from 1 to 64"),
        ("export_queue", "-1", "a whole number from 0"),
        ("export_rows", "0", "a whole number from 1 up"),
        ("max_body", "64M", 'a size such as "64MiB" or "10MB"'),
        ("max_body", "0", "a number of bytes"),
        ("host", "http://localhost", "a host name or address without a port"),
        ("host", "", "a host name or address without a port"),
        ("port", "65536", "a whole number from 1 to 65535"),
        ("port", "", "a whole number from 1 to 65535"),
        ("port", "８００３", "a whole number from 1 to 65535"),
        ("port", "9" * 5000, "a whole number from 1 to 65535"),
    ],
)
def test_a_malformed_value_is_refused(key: str, value: str, expected: str) -> None:
    message = refusal({key: value})
    assert message.startswith(f"{key} (environment AI_HUB_{key.upper()}): got ")
    assert expected in message


@pytest.mark.parametrize("line", ["port = true", "port = 8003.0", "port = [8003]", "port = {}"])
def test_a_value_of_another_type_is_refused(line: str) -> None:
    Path("ai-hub.toml").write_text(line)
    assert refusal().startswith("port (file ai-hub.toml): got ")


@pytest.mark.parametrize(("given", "umask"), [("0", "000"), ("27", "027"), ("0027", "027")])
def test_a_umask_is_a_text_of_octal_digits(given: str, umask: str) -> None:
    assert load(umask=given).umask == umask
    Path("ai-hub.toml").write_text("umask = 27")
    assert "octal" in refusal()


def test_the_files_of_the_settings_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.toml").write_text("port = 9000")
    given = Settings.load(file=Path("mine.toml"), environ={})
    monkeypatch.setenv("AI_HUB_CONFIG", "named.toml")
    assert {path.name for path in given.own_files} == {"ai-hub.toml", "mine.toml", "named.toml"}
    assert all(path.is_absolute() for path in given.own_files)


def test_a_value_that_was_built_directly_is_checked_too() -> None:
    assert Settings(granularity="1h").granularity == Granularity.of("1h")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"port \(argument\): got 0, expected"):
        Settings(port=0)


def test_unknown_keys_are_refused() -> None:
    assert refusal({"prot": "1"}) == (
        "AI_HUB_PROT (environment): there is no such setting; did you mean AI_HUB_PORT?"
    )
    assert "did you mean AI_HUB_CONFIG?" in refusal({"CONFG": "x.toml"})
    assert "; known: AI_HUB_DATABASE_URL, " in refusal({"zzz": "1"})
    assert refusal(cache_tll=1) == (
        "cache_tll (argument): there is no such setting; did you mean cache_ttl?"
    )
    for written in ("cache-ttl = 1", "AI_HUB_CACHE_TTL = 1"):
        Path("ai-hub.toml").write_text(written)
        assert "(file ai-hub.toml): there is no such setting; did you mean cache_ttl?" in refusal()
    Path("ai-hub.toml").write_text("[zzz]\nport = 1")
    assert "zzz (file ai-hub.toml): there is no such setting; known: database_url, " in refusal()


def test_a_file_that_cannot_be_read_is_refused() -> None:
    assert "none.toml (argument): there is no such file" in refusal(file=Path("none.toml"))
    assert "none.toml (environment AI_HUB_CONFIG)" in refusal({"config": "none.toml"})
    assert "cannot be read" in refusal({"config": ""})
    Path("ai-hub.toml").write_text("port: 8003")
    assert "ai-hub.toml (working directory): is not a TOML file" in refusal()
    Path("ai-hub.toml").write_bytes(b'host = "\xff"')
    assert "is not a TOML file" in refusal()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://user:secret@host:5432/db", "postgresql://user:***@host:5432/db"),
        ("postgresql://user:secr@et/secret@host/db", "postgresql://user:***@host/db"),
        ("redis://:secret@host", "redis://:***@host"),
        ("user:secret@host", "user:***@host"),
        (
            "postgresql://h/db?user=u&password=secret&a=b",
            "postgresql://h/db?user=u&password=***&a=b",
        ),
        ("postgresql://user@host:5432/db", "postgresql://user@host:5432/db"),
        ("duckdb:///features.duckdb", "duckdb:///features.duckdb"),
        ("::1", "::1"),
    ],
)
def test_passwords_are_masked(url: str, expected: str) -> None:
    assert masked(url) == expected
    if "secret" in url:
        assert "secret" not in refusal({"cache_url": f"{url}#"})
        assert "secret" not in refusal(cache_url=f"{url}#")
    if url.startswith("postgresql"):
        settings = load(database_url=url)
        assert "secret" not in f"{settings.shown()} {settings.database_name} {settings}"


def test_settings_are_a_value() -> None:
    settings = load(port="1")
    assert settings == Settings(port=1)
    assert hash(settings) == hash(Settings(port=1))
    assert pickle.loads(pickle.dumps(settings)).sources == settings.sources
    assert "port='1'" in repr(settings)
    with pytest.raises(FrozenInstanceError):
        settings.port = 2  # type: ignore[misc]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "redis", "rediss", "mysql", "x"])
@pytest.mark.parametrize(
    "rest",
    [
        "//user:S3cret@", "//user:S3cret", "//:S3cret", "/user:S3cret@host/db", "user:S3cret@host",
        "//user:S3@cret@host:x/db", "//host/db?password=S3cret",
        "//a:b@h:x/?p=S3cret",
        "//user:p/S3cret@host:99999", "//user:p@h?sslpassword=a@S3cret", "//host:S3cret", ":S3cret",
        "//host/db#S3cret", "//h/db;password=S3cret", "//user:a:b:S3cret@[::1", "//user\\:S3cret@h",
    ],
)  # fmt: skip
def test_no_malformed_url_shows_a_secret(scheme: str, rest: str) -> None:
    for key in ("database_url", "cache_url"):
        try:
            said = repr(Settings(**{key: f"{scheme}:{rest}"}))
        except ConfigError as error:
            said = str(error)
        assert "cret" not in said


def test_a_malformed_url_without_a_secret_is_shown() -> None:
    for url in ("sqlite:///features.db", "duckdb:/features.duckdb", "redis://host:63790000/x"):
        key = "cache_url" if url.startswith("redis") else "database_url"
        with pytest.raises(ConfigError) as raised:
            Settings(**{key: url})
        assert (url in str(raised.value)) is (key == "database_url")
