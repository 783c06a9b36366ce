"""The table of lines is that of the code, of the page and of the guide."""

from __future__ import annotations

from pathlib import Path

from ai_hub.doctor.line import MOST_ALIKE, limited, warning, width
from ai_hub.doctor.lines import LINES
from doctor.conftest import Practice, hourly

ROOT = Path(__file__).parents[2]


def table() -> list[str]:
    """The table of docs/doctor.md."""
    rows = [
        "| line | where | looks at | when it is not ok | what mends it |",
        "|---|---|---|---|---|",
    ]
    for one in LINES:
        cells = (f"`{one.name}`", one.where, one.looks_at, one.wrong, one.mends)
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def test_the_page_has_the_table_of_the_code() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text("utf-8")
    shown = [line for line in page.splitlines() if line.startswith("|")]
    assert shown[: len(LINES) + 2] == table()


def test_each_line_has_its_row(practice: Practice, any_store: None) -> None:
    practice.ingest(hourly())
    known = [one.name for one in LINES]
    assert len({*known}) == len(known)
    told = practice.look()
    assert told.keys() <= {*known}
    everywhere = {one.name for one in LINES if one.where == "everywhere"}
    # Those are told where they have something to say.
    assert everywhere - told.keys() <= {"access_keys", "clock", "hit_rate"}


def test_every_symptom_of_the_guide_has_lines() -> None:
    symptoms = {one.symptoms for one in LINES} - {""}
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8").lower()
    assert {one for one in symptoms if f"## {one}\n" in page} == symptoms
    assert len(symptoms) == 4


def test_many_alike_are_told_in_one() -> None:
    lines = [warning("late", str(n)) for n in range(25)]
    told = limited(lines)
    assert len(told) == MOST_ALIKE + 1
    assert told[-1].said == "and 15 more like these"
    assert limited(lines[:3]) == lines[:3]


def test_widths_as_people_read_them() -> None:
    shown = [width(one * 1e6) for one in (0.25, 59, 90, 3_600 * 3.2, 86_400 * 12)]
    assert shown == ["0.25 s", "59 s", "1.5 min", "3.2 h", "12 d"]
