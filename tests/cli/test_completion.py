"""A shell completes what one types: commands, options and files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.test_help import HEAVY

PROGRAM = """
import sys
from ai_hub.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def completed(shell: str, typed: str) -> str:
    """What a shell is told where somebody asks it to complete a line."""
    words = typed.split(" ")
    asked = {
        "bash": {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": typed},
        "fish": {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    env = {**os.environ, **asked, "_AI_HUB_COMPLETE": f"complete_{shell}"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # One waits for it at each key.
    assert HEAVY.isdisjoint(done.stderr.split())
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "offered", "others"),
    [
        ("ai-hub ex", ["explain", "export", "exports"], ["ingest"]),
        ("ai-hub exports w", ["watch"], ["cancel"]),
        # The options of these are made from what reading a file takes.
        ("ai-hub ingest --tenant-", ["--tenant-column"], ["--json"]),
    ],
)
def test_each_shell_is_told(shell: str, typed: str, offered: list[str], others: list[str]) -> None:
    told = completed(shell, typed)
    assert [one for one in offered if one not in told] == []
    assert [one for one in others if one in told] == []


def test_it_is_installed_and_completes(workplace: Path) -> None:
    program = workplace / "bin" / "ai-hub"
    program.parent.mkdir()
    python = f'exec {sys.executable} -c "from ai_hub.cli import main; main()" "$@"'
    program.write_text(f"#!/bin/sh\n{python}\n")
    program.chmod(0o755)
    env = {**os.environ, "HOME": str(workplace), "PATH": f"{program.parent}:{os.environ['PATH']}"}

    def bash(script: str) -> str:
        done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # It tells the shell by the process that it is in.
    assert "bash completion installed" in bash("ai-hub --install-completion; true")
    typed = "COMP_WORDS=(ai-hub exp); COMP_CWORD=1; _ai_hub_completion ai-hub"
    shown = bash(f'. ~/.bashrc; complete -p ai-hub; {typed}; echo "${{COMPREPLY[@]}}"')
    assert shown.splitlines() == [
        "complete -o default -F _ai_hub_completion ai-hub", "explain export exports"
    ]  # fmt: skip
