"""Topics as text for a terminal and as the page docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.measure import Check, Topic

_PACKAGES = (
    "ai-hub-feature-store", "polars", "pyarrow", "numpy", "duckdb", "numba", "pandas", "asyncpg",
    "adbc-driver-postgresql", "uvicorn", "uvloop", "httptools", "msgspec", "litestar",
    "redis", "hiredis",
)  # fmt: skip
_TITLES = {
    "export": "Exports",
    "custom": "Features of one's own",
    "spine": "Spines",
    "memory": "Memory of exports",
    "cores": "Exports on more cores",
    "online": "Answers online",
    "redis_online": "Answers online with Redis",
    "first_level": "A first level before Redis",
    "herd": "A herd on cold keys",
    "turn": "The turn of a step",
    "startup": "Starting",
    "ingest": "Ingest of years, and of corrections",
    "accuracy": "Accuracy of sliding statistics",
    "postgres": "On PostgreSQL",
    "postgres_export": "Exports from PostgreSQL",
    "hostile": "A caller of years ago",
    "growth": "As the database grows",
    "late": "Late data on TimescaleDB",
    "archive": "Archive",
    "landing": "Where exports land",
    "looked_at": "The page",
    "spark": "Spark",
}


def text(topic: Topic) -> str:
    lines = [f"== {_TITLES[topic.name]}"]
    for table in topic.tables:
        rows = _aligned([table.head, *table.rows]) if table.head else []
        lines += ["", table.title, *rows, table.note]
    if topic.checks:
        lines += ["", *_aligned([_CHECK_HEAD, *map(_check, topic.checks)])]
    lines.append("")
    return "\n".join(lines)


_OPENING = """# Benchmarks

Written by `python -m benchmarks --write`; with names of topics it writes their sections anew. Run
`make bench` to repeat it on your machine: it takes half an hour and prints the same tables. Every
figure was measured beside what it is compared with, in interleaved rounds of one run; figures are
medians, and ratios tell more than times. HTTP loads need `wrk` (else a slower Python client stands
in).

"""


def page(topics: Sequence[Topic], before: str = "") -> str:
    """The page with these topics; what `before` has of others stays."""
    parts = before.split("\n## ")[1:]
    sections = {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}
    sections |= {_TITLES[topic.name]: _section(topic) for topic in topics}
    known = [title for title in _TITLES.values() if title in sections]
    return _OPENING + "\n".join(sections[title] for title in known)


def _section(topic: Topic) -> str:
    missed = sum(not check.ok for check in topic.checks)
    met = "All targets were met." if not missed else f"{missed} of {len(topic.checks)} were missed."
    lines = [f"## {_TITLES[topic.name]}", "", *machine(), ""]
    for table in topic.tables:
        lines += [f"**{table.title}**", "", *_grid(table.head, table.rows), ""]
        if table.note:
            lines += [table.note, ""]
    if topic.checks:
        checks = [_check(one) for one in topic.checks]
        lines += [f"**Targets.** {met}", "", *_grid(_CHECK_HEAD, checks)]
    return "\n".join(lines).rstrip() + "\n"


def machine() -> list[str]:
    """Where and with what the figures were measured, one line each."""
    versions = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} absent")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"- Machine: {_cpu()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        f"- System: {_system()}, Python {platform.python_version()}",
        f"- Versions: {', '.join(versions)}",
        f"- Date: {datetime.now(UTC):%Y-%m-%d}",
    ]


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform()


_CHECK_HEAD = ("figure", "measured", "target", "met")


def _check(check: Check) -> tuple[str, ...]:
    unit = f" {check.unit}" if check.unit else ""
    bound = "at least" if check.least else "at most"
    return (
        check.what,
        f"{check.value:.3g}{unit}",
        f"{bound} {check.target:g}{unit}",
        "yes" if check.ok else "no",
    )


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not head:  # its title says all
        return []
    rule = ["---", *["--:"] * (len(head) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
