"""The image and the services around it, as far as they can be tried without an engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import redis_server
import servers
from acceptance.serving import environment, free_port
from ai_hub import __version__
from ai_hub.cli.app import app
from ai_hub.config import KEYS, Settings, variable
from ai_hub.definitions.values import Duration
from ai_hub.http.workers import check
from watching import eventually

ROOT = Path(__file__).parents[1]
SECRETS = {"POSTGRES_PASSWORD": "p@ss/w:rd %2F", "REDIS_PASSWORD": "r@d'is/:% $x"}
_OLDEST_TIMESCALEDB = (2, 28, 3)


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each as its name and its words."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(name, words.strip()) for name, _, words in found]


def last(name: str) -> str:
    """The words of an instruction of the image itself, not of the stage that builds."""
    found = instructions()
    stage = max(place for place, (one, _) in enumerate(found) if one == "FROM")
    return [words for one, words in found[stage:] if one == name][-1]


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(last("ENV")))


def compose() -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(found, dict)
    return found


def filled(text: object, variables: Mapping[str, str]) -> str:
    """A value of compose.yaml as compose fills it in."""

    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        assert name in variables or match["how"] == ":-", f"{name} is not given"
        return variables.get(name, default)

    pattern = r"\$\{(?P<name>\w+)(?P<how>:[-?])(?P<default>[^}]*)\}"
    return re.sub(pattern, value, str(text)).replace("$$", "$")


def service_environment(name: str, **variables: str) -> dict[str, str]:
    given: dict[str, object] = compose()["services"][name]["environment"]
    # What has no value is passed through, if it is there.
    passed = {
        key: variables[key] for key, text in given.items() if text is None and key in variables
    }
    said = {key: text for key, text in given.items() if text is not None}
    return passed | {key: filled(text, variables) for key, text in said.items()}


def entrypoint(name: str, folder: Path) -> list[str]:
    """The words before a service's command, its secrets being files in a folder."""
    words: list[str] = compose()["services"][name]["entrypoint"]
    for secret in compose()["services"][name]["secrets"]:
        variable = compose()["secrets"][secret]["environment"]
        (folder / secret).write_text(SECRETS[variable])
    return [filled(word, {}).replace("/run/secrets", str(folder)) for word in words]


# The image.


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copies = [shlex.split(words) for name, words in instructions() if name == "COPY"]
    sources = {one for words in copies for one in words[:-1] if not words[0].startswith("--")}
    assert sources == kept
    assert all((ROOT / one).exists() for one in sources)


def test_the_image_is_small_and_not_run_by_root() -> None:
    bases = [words.split()[0] for name, words in instructions() if name == "FROM"]
    assert len(bases) == 2
    for base in bases:
        version = re.fullmatch(r"python:3\.(\d+)-slim-\w+", base)
        assert version is not None
        assert int(version[1]) >= 11
    assert int(last("USER")) > 0
    assert any(name == "COPY" and "--from=build" in words for name, words in instructions())


def test_the_image_says_what_its_settings_are() -> None:
    found = image_environment()
    ours = {name: text for name, text in found.items() if name.startswith("AI_HUB_")}
    settings = Settings.load(environ=ours)
    assert (settings.host, settings.port) == ("0.0.0.0", int(last("EXPOSE")))
    assert settings.port == Settings().port
    volume = Path(json.loads(last("VOLUME"))[0])
    assert settings.database_path is not None
    assert settings.database_path.parent == settings.export_root.parent == volume


@contextmanager
def container(
    command: list[str], folder: Path, words: list[str] | None = None, **variables: str
) -> Iterator[Any]:
    """The command of a service as a process here, and what it answers once it is healthy."""
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*(words or json.loads(last("ENTRYPOINT"))), *command],
            env=here(folder, variables), cwd=folder, stdout=log, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 30
            while healthy(folder, variables) != 0:
                assert process.poll() is None, (folder / "log.txt").read_text()
                assert time.monotonic() < deadline
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.Signals[last("STOPSIGNAL")])
            assert process.wait(30) == 0


def here(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a container, its volume being a folder."""
    image = {name: text.replace("/data", str(folder)) for name, text in image_environment().items()}
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return environment({}) | image | path | {"HOME": str(folder)} | variables


def healthy(folder: Path, variables: Mapping[str, str]) -> int:
    command = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])
    done = subprocess.run(command, env=here(folder, variables), capture_output=True, check=False)
    return done.returncode


def test_the_entry_point_serves_and_its_health_is_checked(tmp_path: Path) -> None:
    variables = {"AI_HUB_PORT": str(free_port()), "AI_HUB_INSECURE": "1"}
    assert healthy(tmp_path, variables) != 0
    with container(json.loads(last("CMD")), tmp_path, **variables):
        found = httpx.get(f"http://127.0.0.1:{variables['AI_HUB_PORT']}/health", trust_env=False)
        assert found.json()["database"] == str(tmp_path / "features.duckdb")
    assert healthy(tmp_path, variables) != 0
    events = [json.loads(line)["event"] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert events == ["serving", "stopped"]


# The services.


def test_the_services_are_these() -> None:
    services = compose()["services"]
    assert services.keys() == {"database", "redis", "migrate", "ai-hub", "maintain"}
    ours = services["ai-hub"]
    assert ours["container_name"] == "ai-hub"
    assert ours["ports"] == ["127.0.0.1:8003:8003"]
    assert ours["image"].endswith(f":{__version__}")
    commands = {command.name for command in app.registered_commands}
    for name in ("migrate", "ai-hub", "maintain"):
        assert services[name]["image"] == ours["image"]
        assert services[name].get("command", ["serve"])[0] in commands
    image, version, release = re.split(r"[:-]", services["database"]["image"])
    assert image == "timescale/timescaledb"
    assert tuple(map(int, version.split("."))) >= _OLDEST_TIMESCALEDB
    assert re.fullmatch(r"pg1[5-9]", release)
    assert services["redis"]["image"].startswith("redis:7")


def test_a_service_waits_for_what_it_needs() -> None:
    services = compose()["services"]
    for name in ("database", "redis"):
        assert services[name]["healthcheck"]["test"]
    needs = {
        name: {other: how["condition"] for other, how in one.get("depends_on", {}).items()}
        for name, one in services.items()
    }
    assert needs == {
        "database": {},
        "redis": {},
        "migrate": {"database": "service_healthy"},
        "maintain": {"migrate": "service_completed_successfully"},
        "ai-hub": {"migrate": "service_completed_successfully", "redis": "service_healthy"},
    }
    assert services["migrate"]["restart"] == "no"
    mounted = {
        volume.partition(":")[0] for one in services.values() for volume in one.get("volumes", ())
    }
    assert mounted == compose()["volumes"].keys()


@pytest.mark.parametrize("name", ["migrate", "ai-hub", "maintain"])
def test_settings_of_services_are_settings(name: str) -> None:
    found = service_environment(name)
    settings = Settings.load(environ=found)
    assert settings.on_server
    assert settings.cache_url.startswith("redis://")
    if name == "ai-hub":
        assert settings.workers > 1
        check(settings)
        assert service_environment(name, AI_HUB_WORKERS="5")["AI_HUB_WORKERS"] == "5"
    # Every setting is, but for those that are of the image, or of who asks the service.
    of_others = {
        *("AI_HUB_HOST", "AI_HUB_PORT", "AI_HUB_EXPORT_ROOT", "AI_HUB_CACHE_URL"),
        "AI_HUB_API_KEY",
    }
    serving_alone = {"AI_HUB_INSECURE", "AI_HUB_ALLOWED_HOSTS"}
    given = compose()["services"][name]["environment"].keys() | serving_alone
    assert {variable(key) for key in KEYS} - of_others == given - {
        "REDIS_HOST",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    }
    kept = service_environment(name, AI_HUB_RETENTION_RAW="30d")
    assert Settings.load(environ=kept).retention_raw == Duration.of("30d")
    assert (settings.insecure, settings.allowed_hosts) == (
        (True, ("ai-hub", "localhost")) if name == "ai-hub" else (False, ("localhost",))
    )


def test_secrets_are_files_and_not_written_down() -> None:
    assert {one["environment"] for one in compose()["secrets"].values()} == SECRETS.keys()
    for name, service in compose()["services"].items():
        assert service["secrets"], name
        given = service.get("environment", {})
        assert not [key for key in given if key.endswith(("PASSWORD", "CLI_AUTH", "_KEY"))]


def test_containers_may_do_what_they_need_and_no_more() -> None:
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert name == "database" or "cap_add" not in service


@pytest.mark.postgresql
@pytest.mark.redis
@pytest.mark.long
def test_the_services_work_together(tmp_path: Path) -> None:
    """Each with its own command and environment, and other places for what they listen on."""
    postgres = servers.server("plain")
    role = "composed"
    postgres.role(role, SECRETS["POSTGRES_PASSWORD"])
    postgres.sql(f"CREATE DATABASE {role} OWNER {role}")
    port, redis_port = free_port(), free_port()
    variables = service_environment("ai-hub") | {
        "AI_HUB_DATABASE_URL": f"postgresql://{role}@127.0.0.1:{postgres.port}/{role}",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_port),
        "AI_HUB_PORT": str(port),
        "AI_HUB_HOST": "127.0.0.1",
    }
    words = entrypoint("ai-hub", tmp_path)
    try:
        with redis(redis_port, tmp_path):
            for _ in range(2):
                subprocess.run(
                    [*words, "migrate"],
                    env=here(tmp_path, variables), cwd=tmp_path, check=True, capture_output=True,
                )  # fmt: skip
            with container(["serve"], tmp_path, words, **variables):
                use(f"http://127.0.0.1:{port}", tmp_path)
    finally:
        postgres.drop(role)
        postgres.sql(f"DROP ROLE {role}")


@contextmanager
def redis(port: int, folder: Path) -> Iterator[None]:
    """The service redis, on a port of its own."""
    program = redis_server.program()
    assert program is not None
    shell, flag, script = compose()["services"]["redis"]["command"]
    (folder / "redis_password").write_text(SECRETS["REDIS_PASSWORD"])
    script = script.replace("/run/secrets", str(folder))
    elsewhere = f"{program} --port {port} --bind 127.0.0.1 --dir {folder}"
    words = [shell, flag, filled(script, {}).replace("redis-server", elsewhere)]
    variables = {"REDISCLI_AUTH": SECRETS["REDIS_PASSWORD"]}
    with subprocess.Popen(words, env=os.environ | variables, stdout=subprocess.DEVNULL) as process:
        try:
            asking = ["redis-cli", "-p", str(port), "CONFIG", "GET", "maxmemory*"]
            eventually(lambda: b"volatile-ttl" in _said(asking, variables))
            found = _said(asking, variables).split()
            assert found[found.index(b"maxmemory") + 1] == b"%d" % (512 * 1024**2)
            yield
        finally:
            process.terminate()


def _said(command: list[str], variables: Mapping[str, str]) -> bytes:
    return subprocess.run(
        command, env=os.environ | variables, capture_output=True, check=False
    ).stdout


def use(url: str, folder: Path) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        rows = [{"timestamp": "2025-10-09T13:00:00Z", "asset_id": "a", "value": 7.5}]
        client.post("/ai/features/ingest", json={"tenant_id": "t", "rows": rows}).raise_for_status()
        wanted = {"tenant_id": "t", "feature_set": "forecast_basic"}
        at = {"asset_id": "a", "timestamp": "2025-10-09T14:00:00Z"}
        for hit in (False, True):
            answer = client.post("/ai/features/get", json=wanted | at).json()
            assert (answer["features"]["lag_1h"], answer["cache_hit"]) == (7.5, hit)
        span = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
        record = client.post("/ai/features/export", json=wanted | span).json()
        assert (record["status"], record["row_count"]) == ("completed", 1)
        assert Path(record["storage_path"]).is_relative_to(folder / "exports")
        assert client.get("/health/ready").json()["status"] == "ok"
        assert "ai_hub_workers 2.0" in client.get("/metrics").text
    log = (folder / "log.txt").read_text()
    # What the guide looks for.
    (line,) = [line for line in log.splitlines() if "export_features_to_parquet" in line]
    assert json.loads(line)["status"] == "completed"
