"""The dashboard and the alerts in deploy/, against what a server tells."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from acceptance.serving import Server, free_port, serving
from ai_hub.metrics import FAMILIES, Metrics, exposition
from deploy.promql import DEPLOY, OF_PROMETHEUS, RULES, Query, board, queries, rules
from watching import AT, COMMAND, eventually, get, ingest

QUERIES = [pytest.param(one, id=f"{one.place}-{n}") for n, one in enumerate(queries())]
NO_PROMTOOL = "no promtool in PATH; to install it on Debian or Ubuntu: apt-get install prometheus"
PEAK = {"kind": "Rolling", "name": "peak", "stat": "max", "window": "3h", "valid": [0, 1]}
SETS = {"feature_sets": [{"name": "bounded", "version": 1, "features": [PEAK]}]}
RANGE = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}

# Only with Redis, a baseline or a view of one's own.
_NOT_IN_ALL = {
    "ai_hub_cache_errors", "ai_hub_view_faults",
    "ai_hub_drift_alarm", "ai_hub_drift_psi", "ai_hub_drift_wasserstein",
}  # fmt: skip


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that was asked for a bit of all."""
    with serving(COMMAND, tmp_path_factory.mktemp("busy")) as server:
        server.call("POST", "/sets/apply", SETS)
        work(server)
        yield server


def work(server: Server) -> None:
    ingest(server, "acme", 2.0)
    rows = [{"timestamp": AT, "asset_id": "a", "value": None}]
    server.call("POST", "/ingest", {"tenant_id": "acme", "rows": rows}, 422)
    for name in ("forecast_basic", "bounded"):
        for _ in range(2):
            get(server, "acme", feature_set=name)
    server.call("GET", "/sets/nope", status=404)
    server.call("POST", "/export", {"tenant_id": "acme", "feature_set": "forecast_basic", **RANGE})


@pytest.fixture(scope="module")
def told(busy: Server) -> dict[str, Metric]:
    """The families of its /metrics by name, and of a process that met all that it did not."""
    met = Metrics()
    met.of_cache("open", {"lost": 1})
    met.no_view("own@1", "price", "gone", 1)
    effects = {"psi": {"value": 0.5}, "wasserstein": {"value": 2.0}}
    met.drifted("acme", "own@1", [{"name": "mean", "alarm": True, "effects": effects}], 0)
    rest = exposition(met, 0)[0].decode()
    live = families(busy.client.get("/metrics").text)
    without = {name for name, one in live.items() if not one.samples}
    assert without == _NOT_IN_ALL
    return live | {name: one for name, one in families(rest).items() if name in without}


def families(text: str) -> dict[str, Metric]:
    return {one.name: one for one in text_string_to_metric_families(text)}


def samples(told: dict[str, Metric], name: str) -> list[dict[str, str]]:
    """The labels of the samples of a name; with a histogram's, each has its own."""
    return [one.labels for family in told.values() for one in family.samples if one.name == name]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_a_server_tells(query: Query, told: dict[str, Metric]) -> None:
    asked = query.selectors
    assert asked, query.text
    for one in asked:
        if one.name == "up":
            continue
        found = samples(told, one.name)
        assert found, f"{one.name} is in no answer of /metrics"
        there = {label for labels in found for label in labels} | OF_PROMETHEUS
        wanted = {label for label, _, _ in one.matchers}
        grouped = set().union(*query.groups)
        assert wanted <= there, one
        assert grouped <= there, one
        assert query.shown <= (query.groups[0] if query.groups else there)
        for label, how, value in one.matchers:
            check_value(one.name, label, how, value, found)


def check_value(name: str, label: str, how: str, value: str, found: list[dict[str, str]]) -> None:
    """A value that is chosen is one that comes."""
    if label in OF_PROMETHEUS or value.startswith("$") or how == "!=":
        return
    known = {labels[label] for labels in found}
    if label == "status" and name.startswith("ai_hub_request_seconds"):
        known |= {"5xx"}
    if label == "feature":
        known |= {"lag_24h"}
    assert any(re.fullmatch(value, one) for one in known), f"{name}: {label}={value} of {known}"


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_goes_by_the_type_of_its_metric(query: Query, told: dict[str, Metric]) -> None:
    types = {sample.name: one.type for one in told.values() for sample in one.samples}
    for one in query.selectors:
        if one.name == "up":
            continue
        over = re.search(rf"(\w+)\(\s*{one.name}\b", query.text)
        is_rate = over is not None and over[1] in ("rate", "increase")
        is_counted = types[one.name] in ("counter", "histogram")
        assert is_rate == is_counted, f"{query.place}: {one.name} is a {types[one.name]}"
        if one.name.endswith("_bucket"):
            assert "histogram_quantile" in query.text


def test_every_metric_is_shown() -> None:
    shown = {one.name for query in queries() for one in query.selectors}
    without_ending = {re.sub("_(bucket|count)$", "", name) for name in shown}
    assert without_ending - {"up"} == {family.name for family in FAMILIES}


def test_panels_are_whole_and_beside_each_other() -> None:
    panels = board()["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    places = [one["gridPos"] for one in panels]
    for one in places:
        assert one["x"] + one["w"] <= 24
    for one, other in itertools.combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)
    for panel in panels:
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        sources = [panel["datasource"], *(one["datasource"] for one in panel["targets"])]
        assert {one["uid"] for one in sources} == {"${datasource}"}


def test_an_alert_says_what_is_wrong_and_what_to_do() -> None:
    names = [one["alert"] for one in rules()]
    assert len({*names}) == len(names)
    for one in rules():
        assert one["labels"].keys() == {"severity"}
        assert one["labels"]["severity"] in ("critical", "warning")
        assert one["annotations"].keys() == {"summary", "action"}
        assert all(text.endswith(".") or text.endswith("?") or ": `" in text
                   for text in one["annotations"].values())  # fmt: skip


def test_rules_fire_when_they_should(tmp_path: Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip(NO_PROMTOOL)
    folder = RULES.parent
    recorded = [{"record": f"query_{n}", "expr": query.filled} for n, query in enumerate(queries())]
    every = tmp_path / "queries.yaml"
    every.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": recorded}]}))
    for words in (
        ("check", "config", folder / "prometheus.yaml"),
        ("check", "rules", RULES, every),
        ("test", "rules", folder / "ai-hub.rules.test.yaml"),
    ):
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_prometheus_answers_every_query(busy: Server, tmp_path: Path) -> None:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip(NO_PROMTOOL)
    with prometheus(program, busy.port, tmp_path) as client:

        def ask(text: str) -> list[dict[str, Any]]:
            answer = client.get("/api/v1/query", params={"query": text}).json()
            assert answer["status"] == "success", f"{text}: {answer}"
            found: list[dict[str, Any]] = answer["data"]["result"]
            return found

        eventually(lambda: ask("count_over_time(up[1m]) >= 3"), 60)
        work(busy)
        time.sleep(2.5)
        empty = {one.place for one in queries() if not ask(one.filled)}
    healthy = {one["alert"] for one in rules()}
    not_met = {"Errors of Redis", "Views without a value", "Features that drift", "Drift, PSI",
               "Drift, distance"}  # fmt: skip
    assert empty - healthy == not_met


@contextmanager
def prometheus(program: str, target: int, folder: Path) -> Iterator[httpx.Client]:
    """A Prometheus that scrapes a server here, as prometheus.yaml says but each second."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES)]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{target}"]
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    words = [program, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address={address}"]  # fmt: skip
    log = folder / "prometheus.txt"
    with log.open("wb") as out, subprocess.Popen(words, stdout=out, stderr=out) as process:
        try:
            with httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
                eventually(lambda: process.poll() is not None or ready(client), 60)
                assert process.poll() is None, log.read_text()
                yield client
        finally:
            process.terminate()


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False
