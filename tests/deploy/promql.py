"""What the queries in deploy/ ask for: the dashboard's and the alerts'."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "ai-hub.rules.yaml"
BOARD = DEPLOY / "grafana" / "ai-hub.json"
OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus itself gives to what it scrapes."""

_SELECTOR = re.compile(r"\b(?P<name>ai_hub_\w+|up)\b(?:\{(?P<inside>[^}]*)\})?")
_MATCHER = re.compile(r'(?P<label>\w+)\s*(?P<how>=~|!~|!=|=)\s*"(?P<value>[^"]*)"')
_VARIABLES = {"$__rate_interval": "4s", "$job": "ai-hub", "$instance": ".*", "$tenant": ".*"}


@dataclass(frozen=True)
class Selector:
    """One metric of a query, and the labels by which it is chosen: (label, how, value)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Query:
    """A query, where it stands, and the labels of its answers that are shown."""

    place: str
    text: str
    shown: frozenset[str]

    @property
    def selectors(self) -> list[Selector]:
        found = []
        for one in _SELECTOR.finditer(self.text):
            inside = one["inside"] or ""
            matchers = [(m["label"], m["how"], m["value"]) for m in _MATCHER.finditer(inside)]
            # All of it was understood.
            assert not _MATCHER.sub("", inside).strip(" ,"), f"{self.place}: {inside}"
            found.append(Selector(one["name"], tuple(matchers)))
        return found

    @property
    def groups(self) -> list[set[str]]:
        """The labels of each `by (...)`, the outermost first."""
        found = re.findall(r"\bby\s*\(([^)]*)\)", self.text)
        return [{name.strip() for name in one.split(",")} for one in found]

    @property
    def filled(self) -> str:
        """The query as Grafana sends it, all instances and tenants being chosen."""
        text = self.text
        for name, value in _VARIABLES.items():
            text = text.replace(name, value)
        assert "$" not in text, f"{self.place}: {text}"
        return text


def board() -> dict[str, Any]:
    found = json.loads(BOARD.read_text())
    assert isinstance(found, dict)
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[Query]:
    for rule in rules():
        said = " ".join(rule["annotations"].values())
        labels = re.findall(r"\$labels\.(\w+)", said)
        yield Query(rule["alert"], rule["expr"], frozenset(labels))
    for panel in board()["panels"]:
        for target in panel.get("targets", ()):
            labels = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            yield Query(panel["title"], target["expr"], frozenset(labels))
    for variable in board()["templating"]["list"]:
        if variable["type"] == "query":
            call = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            assert call is not None, variable["definition"]
            yield Query(f"${variable['name']}", call[1], frozenset([call[2]]))
