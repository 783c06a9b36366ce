"""What stands in a page of the documentation: its blocks, and the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import servers

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(
    r"^```(?P<lang>\w+)(?P<how> [^\n]+)?\n(?P<text>.*?)^```$"
    r"|^<!-- setup:\n(?P<setup>.*?)^-->$|^<!-- server: (?P<kinds>[a-z ]+) -->$",
    re.DOTALL | re.MULTILINE,
)
_ENVIRONMENT = re.compile(r"^<!-- environment: (\w+) -->$", re.MULTILINE)
_RUNNABLE = {"python", "bash", "console", "sql"}


@dataclass(frozen=True)
class Block:
    """A fenced block or a setup comment; `start` and `end` bound its text in the page.

    `how` is what its fence says beside the language, `on` the servers that it is for.
    """

    lang: str
    text: str
    line: int
    start: int
    end: int
    how: str = ""
    on: tuple[servers.Kind | None, ...] = (None,)


def pages() -> list[Path]:
    """Every page that has examples."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [page for page in found if page.name != "benchmarks.md"]


def environment(page: str) -> str | None:
    """The environment of its own that a page is run in; None for the usual one."""
    found = _ENVIRONMENT.search(page)
    return found and found[1]


def blocks(page: str) -> list[Block]:
    """The blocks of a page in order."""
    found = []
    on: tuple[servers.Kind | None, ...] = (None,)
    for match in _BLOCK.finditer(page):
        if match["kinds"] is not None:
            kinds = match["kinds"].split()
            assert set(kinds) <= {*servers.KINDS, "none"}, match.group()
            on = tuple(None if kind == "none" else cast(servers.Kind, kind) for kind in kinds)
            continue
        group = "setup" if match["setup"] is not None else "text"
        start, end = match.span(group)
        lang = "setup" if group == "setup" else match["lang"]
        line = page.count("\n", 0, start) + 1
        found.append(Block(lang, match[group], line, start, end, (match["how"] or "").strip(), on))
    return found


def runs(page: str) -> list[servers.Kind | None]:
    """The kinds of servers that a page is run on, in its order; None: without one."""
    found = [kind for block in blocks(page) if block.lang in _RUNNABLE for kind in block.on]
    return list(dict.fromkeys(found))


def commands(block: Block) -> Iterator[tuple[str, int, int]]:
    """The commands of a console block, and where the output of each stands in its text."""
    prompts = list(re.finditer(r"^\$ (?:.*\\\n)*.*\n(?:> .*\n)*", block.text, re.MULTILINE))
    ends = [prompt.start() for prompt in prompts[1:]] + [len(block.text)]
    for prompt, end in zip(prompts, ends, strict=True):
        output = block.text[prompt.end() : end].rstrip()
        last = prompt.end() + len(output)
        command = re.sub(r"^[$>] ", "", prompt.group(), flags=re.MULTILINE)
        yield command.rstrip(), prompt.end(), last + bool(output)
