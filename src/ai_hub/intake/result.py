"""What became of rows that were sent, and why some of them were refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_REASONS = 20


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was refused.

    `row` is its 0-based place in what was sent (None: not known), `field` the first field at fault
    (None: the row as a whole), `value` what stood there (a string, a number or None) and `why` what
    is expected.
    """

    row: int | None
    field: str | None
    value: object
    why: str


@dataclass(frozen=True, slots=True)
class Remark:
    """What a caller should know of rows that were taken.

    `about` names the case and `field` the column, so that of several batches one remark can stand
    for all: duplicates, unreadable, outside, ids, "null ids", quality, dates.
    """

    about: str
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a dry run found: the first rows as they would land, what was found out about the file
    and the cells that prove it, and the options that say all of it."""

    rows: tuple[Mapping[str, Any], ...]
    detected: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of the rows sent: accepted + rejected = rows.

    `replaced` of the accepted changed a stored value and `unchanged` were stored already; `aged`
    are already older than their table keeps them: maintenance will delete them, some time after
    this notice. `duplicates` of the accepted gave way to a later row of their batch with the same
    key. `unreadable` and `outside` count by column the optional cells that were taken as null:
    they held no number, or one that cannot be. `reasons` are the first MAX_REASONS rejections,
    `remarks` what else a caller should know. `preview` is there after a dry run, which lands
    nothing.
    """

    accepted: int = 0
    replaced: int = 0
    unchanged: int = 0
    rejected: int = 0
    aged: int = 0
    reasons: tuple[Rejection, ...] = ()
    duplicates: int = 0
    unreadable: Mapping[str, int] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    preview: Preview | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The remarks in words."""
        return tuple(remark.text for remark in self.remarks)

    @property
    def rows(self) -> int:
        """How many rows were sent."""
        return self.accepted + self.rejected

    def __add__(self, later: IngestResult) -> IngestResult:
        """This result and that of rows sent later, as one."""
        return IngestResult(
            self.accepted + later.accepted,
            self.replaced + later.replaced,
            self.unchanged + later.unchanged,
            self.rejected + later.rejected,
            self.aged + later.aged,
            (*self.reasons, *later.reasons)[:MAX_REASONS],
            self.duplicates + later.duplicates,
            Counter(self.unreadable) + Counter(later.unreadable),
            Counter(self.outside) + Counter(later.outside),
            _first_of_each((*self.remarks, *later.remarks)),
            self.preview or later.preview,
        )

    def document(self) -> dict[str, Any]:
        """The result as the HTTP routes and `--json` give it."""
        found = {
            "accepted": self.accepted,
            "replaced": self.replaced,
            "unchanged": self.unchanged,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "aged": self.aged,
            "unreadable": dict(self.unreadable),
            "outside": dict(self.outside),
            "reasons": [asdict(reason) for reason in self.reasons],
            "warnings": list(self.warnings),
        }
        return found if self.preview is None else {"dry_run": True, **found, **asdict(self.preview)}


def _first_of_each(remarks: tuple[Remark, ...]) -> tuple[Remark, ...]:
    """One remark of each case and column: what a file says of itself, every part of it says."""
    return tuple({(one.about, one.field): one for one in reversed(remarks)}.values())[::-1]
