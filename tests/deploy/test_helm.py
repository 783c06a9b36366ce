"""The Helm chart in deploy/: linted, rendered, and held to the settings and commands."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_hub import __version__
from ai_hub.cli.app import app
from ai_hub.config import KEYS, Settings, variable
from ai_hub.http.workers import check
from deploy.promql import DEPLOY

CHART = DEPLOY / "helm" / "ai-hub"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
OF_THE_CHART = {"host", "port", "export_root"}
OF_WHO_ASKS = {"api_key"}
NO_HELM = "no helm in PATH, and no helm-python-sdk, which `make check` installs on Linux"


def render(folder: Path, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every object of the linted chart, with values over its own; ValueError if it refuses them."""
    given = folder / "values.yaml"
    given.write_text(json.dumps(dict(values)))
    if program := shutil.which("helm"):
        run(program, "lint", "--strict", CHART, "--values", given)
        words = (program, "template", "hub", CHART, "--namespace", "ours", "--values", given)
    elif importlib.util.find_spec("helm_python"):
        words = (sys.executable, Path(__file__).with_name("helm_library.py"), CHART)
    else:
        pytest.skip(NO_HELM)
    return [one for one in yaml.safe_load_all(run(*words, stdin=given)) if one]


def run(*words: str | Path, stdin: Path | None = None) -> str:
    """What a program says; ValueError with it where it fails."""
    sent = None if stdin is None else stdin.read_text()
    done = subprocess.run(words, input=sent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(done.stdout + done.stderr)
    return done.stdout


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod there is, by the kind of what makes it."""
    for one in objects:
        match one["kind"]:
            case "Deployment" | "Job":
                yield one["kind"], one["spec"]["template"]["spec"]
            case "CronJob":
                yield one["kind"], one["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def environment(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["containers"]
    names = [one["name"] for one in container["env"]]
    assert len({*names}) == len(names)
    return {one["name"]: one["value"] for one in container["env"]}


@pytest.fixture
def objects(tmp_path: Path) -> list[dict[str, Any]]:
    """What it makes by itself."""
    return render(tmp_path, {})


def test_values_name_every_setting_and_no_other() -> None:
    wanted = KEYS.keys() - OF_THE_CHART - OF_WHO_ASKS
    assert VALUES["settings"].keys() == wanted
    assert SCHEMA["properties"]["settings"]["properties"].keys() == wanted
    assert VALUES.keys() == SCHEMA["properties"].keys() - {"global"}
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def test_its_settings_are_settings(objects: list[dict[str, Any]]) -> None:
    for _, pod in pods(objects):
        settings = Settings.load(environ={**environment(pod), "REDIS_PASSWORD": "p@ss"})
        assert settings.on_server
        assert settings.cache_url == "redis://:p%40ss@redis:6379"
        check(settings)
        assert (settings.host, settings.port, settings.auth) == ("0.0.0.0", 8003, "keys")
        assert settings.workers > 1
        assert {"hub", "hub.ours.svc"} <= {*settings.allowed_hosts}


def test_every_setting_arrives_as_it_was_given(tmp_path: Path) -> None:
    chosen = Settings.load(
        environ={},
        cache_url="redis://elsewhere:6379/1", warm_ahead=True, export_rows=123_456_789_012,
        retention_raw="30d", retention_audit="none", valid_ranges="load=0:500", rate_limit=50,
        export_urls="s3://one/a,s3://two/b", allowed_hosts="features.example.com", umask="027",
        oidc_issuer="https://issuer.example", oidc_audience="ai-hub", granularity="1h",
        database_url="postgresql://ai_hub@db:5432/ai_hub?sslmode=require", drift_check="none",
    )  # fmt: skip
    shown = {name: text for name, text, _ in chosen.shown()}
    given = {
        # Numbers and flags as such, as people write them.
        name: raw if type(raw) in (int, bool) else shown[name]
        for name in VALUES["settings"]
        if (raw := getattr(chosen, name)) not in ("", (), {})
    }
    for _, pod in pods(render(tmp_path, {"settings": given})):
        found = Settings.load(environ=environment(pod))
        for name in given:
            assert getattr(found, name) == getattr(chosen, name), name


def test_what_is_no_setting_is_refused(tmp_path: Path) -> None:
    for values in (
        {"settings": {"pool_sise": 4}},
        {"settings": {"workers": [2]}},
        {"replicas": 0},
        {"secretNames": "x"},
    ):
        with pytest.raises(ValueError, match=r"pool_sise|workers|replicas|secretNames"):
            render(tmp_path, values)


def test_containers_may_do_what_they_need_and_no_more(objects: list[dict[str, Any]]) -> None:
    found = dict(pods(objects))
    assert found.keys() == {"Deployment", "Job", "CronJob"}
    commands = {command.name for command in app.registered_commands}
    for pod in found.values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["args"][0] in commands
        assert container["image"].endswith(f":{__version__}")
        assert container["resources"]["limits"]["memory"]
        mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert mounted == {"tmp": "/tmp", "data": "/data"}
        assert mounted.keys() == {one["name"] for one in pod["volumes"]}


def test_secrets_are_of_another_object(objects: list[dict[str, Any]]) -> None:
    assert "Secret" not in {one["kind"] for one in objects}
    for _, pod in pods(objects):
        assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "ai-hub"}}]
        secret = {"PGPASSWORD", "REDIS_PASSWORD", variable("api_key")}
        assert secret.isdisjoint(environment(pod))


def test_migrations_come_first_and_maintenance_now_and_then(objects: list[dict[str, Any]]) -> None:
    (job,) = [one for one in objects if one["kind"] == "Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]
    (cron,) = [one for one in objects if one["kind"] == "CronJob"]
    assert cron["spec"]["schedule"] == "*/15 * * * *"
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"


def test_servers_are_looked_at_and_given_time_to_end(
    objects: list[dict[str, Any]], tmp_path: Path
) -> None:
    pod = dict(pods(objects))["Deployment"]
    (container,) = pod["containers"]
    paths = {
        name: container[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "liveness", "readiness")
    }
    assert paths == {"startup": "/health", "liveness": "/health", "readiness": "/health/ready"}
    assert pod["terminationGracePeriodSeconds"] >= 30 + 5
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    (service,) = [one for one in objects if one["kind"] == "Service"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    # Jobs are not among those that are asked.
    (job,) = [one for one in objects if one["kind"] == "Job"]
    of_job = job["spec"]["template"]["metadata"]["labels"]
    assert not service["spec"]["selector"].items() <= of_job.items()


def test_what_may_be_chosen_is_there_when_it_is(tmp_path: Path) -> None:
    chosen = {
        "replicas": 1,
        "exports": {"claimName": "shared"},
        "ingress": {"enabled": True, "host": "features.example.com", "tlsSecretName": "tls"},
        "podAnnotations": {"prometheus.io/scrape": "true"},
        "nodeSelector": {"disk": "fast"},
        "traces": {"endpoint": "http://collector:4318"},
        "imagePullSecrets": [{"name": "pull"}],
    }
    made = render(tmp_path, chosen)
    kinds = [one["kind"] for one in made]
    assert "PodDisruptionBudget" not in kinds
    (ingress,) = [one for one in made if one["kind"] == "Ingress"]
    assert ingress["spec"]["tls"] == [{"hosts": ["features.example.com"], "secretName": "tls"}]
    found = dict(pods(made))
    claims = {
        kind: [one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"]
               if "persistentVolumeClaim" in one]
        for kind, pod in found.items()
    }  # fmt: skip
    assert claims == {"Deployment": ["shared"], "Job": [], "CronJob": []}
    for pod in found.values():
        assert (pod["nodeSelector"], pod["imagePullSecrets"]) == (
            {"disk": "fast"}, [{"name": "pull"}],
        )  # fmt: skip
        assert environment(pod)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
        hosts = Settings.load(environ=environment(pod)).allowed_hosts
        assert "features.example.com" in hosts
