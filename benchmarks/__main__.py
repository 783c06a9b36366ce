"""`python -m benchmarks [name ...] [--json FILE] [--write]`: measure and show.

`hostile`, `growth`, `late`, `archive`, `looked_at`, `landing` and `spark` take long and are run
where they are named; `--rows`, `--chunks`, `--assets` and `--folder` are theirs.
"""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.measure import Topic
from benchmarks.report import page, text

NAMES = (
    "export", "custom", "spine", "memory", "cores", "online", "redis_online", "first_level",
    "herd", "turn", "startup", "ingest", "accuracy", "postgres", "postgres_export",
)  # fmt: skip
LARGE = ("hostile", "growth", "late", "archive", "looked_at", "landing", "spark")
_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_SIZES = ("rows", "chunks", "assets")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures as JSON")
    parser.add_argument(
        "--write", action="store_true", help="write (their sections of) docs/benchmarks.md"
    )
    for name in _SIZES:
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"of {' and '.join(LARGE)}")
    parser.add_argument("--folder", type=Path, help="where growth keeps what is measured")
    options = parser.parse_args()
    known = (*NAMES, *LARGE)
    unknown = sorted(set(options.names) - set(known))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(known)}")
    sizes = {
        name: getattr(options, name)
        for name in (*_SIZES, "folder")
        if getattr(options, name) is not None
    }
    topics: list[Topic] = []
    for name in options.names or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        topic = module.run(**sizes) if name in LARGE else module.run()
        print(text(topic), flush=True)
        topics.append(topic)
    if options.json:
        options.json.write_text(json.dumps([asdict(topic) for topic in topics], indent=1))
    if options.write:
        before = _PAGE.read_text("utf-8") if options.names else ""
        _PAGE.write_text(page(topics, before), "utf-8")


if __name__ == "__main__":
    main()
