"""What a caller says about the rows of a file, body or frame, whatever file they stand in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Literal, get_args

from ai_hub.definitions.valid_range import ValidRange
from ai_hub.definitions.values import MAX_SERIES_LENGTH, check_id
from ai_hub.errors import InvalidInput
from ai_hub.intake.options import option

if TYPE_CHECKING:
    from ai_hub.intake.clock.step import Step

Ambiguous = Literal["reject", "earlier", "later"]

_MOST_NULLS = 100


@dataclass(frozen=True, slots=True)
class RowOptions:
    """How the cells of rows are read; checked when built (see `of` for texts)."""

    timezone: str | None = option(
        "ZONE", "The zone of times that have no offset, such as Europe/Berlin or +01:00."
    )
    ambiguous: Ambiguous = option(
        "reject|earlier|later",
        "A local time that the clock showed twice, where the rows do not show which one it is: "
        "reject the row, or take the earlier or the later one.",
        default="reject",
    )
    interval_start: Step | None = option(
        "STEP",
        "The times (or dates) name the start of an interval of this length, such as 15m or P1D: "
        "a row is then of its end, when its value can be known.",
    )
    interval_end: Step | None = option(
        "STEP",
        "The times name the end of an interval of this length; they are kept as they are.",
    )
    null: tuple[str, ...] = option(
        "TOKEN",
        "What else stands for null in a cell, such as missing or -9999 (and so -9999.0). NA, N/A, "
        "NaN, null, none, -, ? and the empty cell do so except in ids.",
        default=(),
        most=_MOST_NULLS,
    )
    valid_range: ValidRange | None = option(
        "MIN:MAX",
        "The readings that can be, both ends included; others are rejected.",
        only="observations",
    )
    quality: bool = True
    """Whether a column named quality is taken as the quality of the rows."""
    valid_ranges: Mapping[str, ValidRange] = field(default_factory=dict)
    """Of single series, by feature_type, where `valid_range` is not given (from the settings)."""

    def __post_init__(self) -> None:
        from ai_hub.intake.clock.zone import Zone

        if self.timezone is not None:
            Zone(self.timezone)
        if self.ambiguous not in get_args(Ambiguous):
            raise InvalidInput("ambiguous", self.ambiguous, "reject, earlier or later")
        if self.interval_start is not None and self.interval_end is not None:
            raise InvalidInput(
                "interval_end", str(self.interval_end), "none beside interval_start: one of them"
            )
        if (
            self.interval_start is not None
            and self.interval_start.is_period
            and self.timezone is None
        ):
            raise InvalidInput(
                "interval_start",
                str(self.interval_start),
                "a timezone beside a period of the wall clock, or a width such as 24h",
            )
        if len(self.null) > _MOST_NULLS or not all(isinstance(t, str) for t in self.null):
            raise InvalidInput("null", self.null, f"at most {_MOST_NULLS} texts")

    @classmethod
    def of(
        cls,
        timezone: str | None = None,
        ambiguous: str | None = None,
        interval_start: object = None,
        interval_end: object = None,
        null: object = (),
        valid_range: object = None,
        quality: bool = True,
        valid_ranges: Mapping[str, object] | None = None,
    ) -> RowOptions:
        """Options from texts, numbers and timedeltas; InvalidInput names the field at fault."""
        from ai_hub.intake.clock.step import Step

        def step(value: object, name: str) -> Step | None:
            return None if value is None else Step.of(value, name)

        return cls(
            timezone=timezone,
            ambiguous=ambiguous or "reject",  # type: ignore[arg-type]
            interval_start=step(interval_start, "interval_start"),
            interval_end=step(interval_end, "interval_end"),
            null=_tokens(null),
            valid_range=None if valid_range is None else ValidRange.of(valid_range),
            quality=quality,
            valid_ranges={
                check_id("valid_ranges", series, MAX_SERIES_LENGTH): ValidRange.of(
                    limits, f"valid_ranges {series}"
                )
                for series, limits in (valid_ranges or {}).items()
            },
        )


def _tokens(given: object) -> tuple[str, ...]:
    """Texts of one text or number, or of several."""
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return tuple(text for each in given for text in _tokens(each))
    if isinstance(given, bool) or not isinstance(given, str | Real):
        raise InvalidInput("null", given, "texts or numbers that stand for null")
    return (str(given),)
