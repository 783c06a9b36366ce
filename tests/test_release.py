"""What a release is called is the same everywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from ai_hub import __version__

ROOT = Path(__file__).parents[1]


def test_every_place_names_this_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == __version__
    image = yaml.safe_load((ROOT / "compose.yaml").read_text())["x-image"]["image"]
    assert image == f"{project['name']}:{__version__}"
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "ai-hub" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    first = re.search(r"^## \[([^]]+)\] - (\S+)$", changes, re.MULTILINE)
    assert first is not None
    assert first[1] == __version__
    assert first[2] == "unreleased" or re.fullmatch(r"\d{4}-\d\d-\d\d", first[2])
    script = (ROOT / "migrations" / "001_create_feature_views.sql").read_text("utf-8")
    assert script.startswith(f"-- The tables of ai-hub {__version__},")
