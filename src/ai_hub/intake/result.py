"""What became of rows that were sent, and why some of them were refused."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

MAX_REASONS = 20


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was refused.

    `row` is its 0-based place in what was sent, `field` the first field at fault (None: the row as
    a whole), `value` what stood there (a string, a number or None) and `why` what is expected.
    """

    row: int
    field: str | None
    value: object
    why: str


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of the rows sent: accepted + rejected = rows.

    `replaced` of the accepted changed a stored value and `unchanged` were stored already; `aged`
    are already older than their table keeps them: maintenance will delete them, some time after
    this notice. `reasons` are the first MAX_REASONS rejections.
    """

    accepted: int = 0
    replaced: int = 0
    unchanged: int = 0
    rejected: int = 0
    aged: int = 0
    reasons: tuple[Rejection, ...] = ()

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
        )

    def document(self) -> dict[str, Any]:
        """The result as the HTTP routes and `--json` give it."""
        return {
            "accepted": self.accepted,
            "replaced": self.replaced,
            "unchanged": self.unchanged,
            "rejected": self.rejected,
            "aged": self.aged,
            "reasons": [asdict(reason) for reason in self.reasons],
        }
