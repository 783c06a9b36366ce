"""The units in deploy/, as systemd reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ai_hub.cli.app import app
from ai_hub.config import Settings
from ai_hub.config_values import width
from ai_hub.definitions.values import SECOND
from ai_hub.http.workers import check
from deploy.promql import DEPLOY

UNITS = DEPLOY / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
NO_SYSTEMD = "no systemd-analyze in PATH; it comes with systemd, from version 250 on"
# What makes of systemd's tables a number from 0 to 10, tenfold.
_MOST_EXPOSED = 20


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip(NO_SYSTEMD)
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def test_units_are_understood_to_the_last_line(tmp_path: Path) -> None:
    here = Path(sys.executable).with_name("ai-hub")
    for unit in UNITS.glob("ai-hub*.*"):
        text = unit.read_text().replace("/opt/ai-hub/bin/ai-hub", str(here))
        (tmp_path / unit.name).write_text(text)
    units = [tmp_path / one.name for one in [*SERVICES, *UNITS.glob("*.timer")]]
    done = analyze("verify", "--man=no", "--recursive-errors=no", *units)
    # It finds everything that the machine has, and says of that too what it does not like.
    ours = [line for line in done.stderr.splitlines() if "ai-hub" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_may_do_little(unit: Path) -> None:
    done = analyze("security", "--offline=yes", f"--threshold={_MOST_EXPOSED}", unit)
    assert done.returncode == 0, done.stdout + done.stderr


def said(unit: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)


def test_units_run_commands_on_settings_that_there_are() -> None:
    commands = {command.name for command in app.registered_commands}
    for unit in SERVICES:
        for line in said(unit.name, "Exec(?:Start|StartPre)"):
            program, command = line.split()
            assert (program, command in commands) == ("/opt/ai-hub/bin/ai-hub", True)
    settings = Settings.load(UNITS / "ai-hub.toml", environ={})
    check(settings)
    (state,) = said("ai-hub.service", "WorkingDirectory")
    assert settings.export_root.is_relative_to(state)
    assert settings.auth == "keys"
    secret = {"REDIS_HOST": "localhost", "REDIS_PASSWORD": "p@ss"}
    with_secret = Settings.load(UNITS / "ai-hub.toml", environ=secret)
    assert with_secret.cache_url == "redis://:p%40ss@localhost:6379"


def test_a_server_is_given_the_time_that_it_needs_to_end() -> None:
    (patience,) = said("ai-hub.service", "TimeoutStopSec")
    assert width(patience).micros >= 30 * SECOND
    # Its workers are ended by itself.
    assert said("ai-hub.service", "KillMode") == ["mixed"]


def test_both_services_have_the_same_rights() -> None:
    first, second = (
        unit.read_text().partition("# Nothing of the machine")[2].partition("\n[Install]")[0]
        for unit in SERVICES
    )
    assert first.strip() == second.strip() != ""
