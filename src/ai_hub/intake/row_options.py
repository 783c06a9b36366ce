"""What a caller says about the rows of a file, body or frame: one definition for every door.

A door shows each field as it likes: `RowOptions.options()` has its name, its help and what stands
for its value; `RowOptions.of` reads texts as well as Python values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from ai_hub.definitions.values import MAX_SERIES_LENGTH, check_id
from ai_hub.errors import InvalidInput
from ai_hub.intake.step import Step
from ai_hub.intake.valid_range import ValidRange
from ai_hub.intake.zone import Zone

Ambiguous = Literal["reject", "earlier", "later"]

_MAX_NULLS = 100


def _said(help_text: str, metavar: str) -> dict[str, str]:
    return {"help": help_text, "metavar": metavar}


@dataclass(frozen=True, slots=True)
class Option:
    """A field of RowOptions as a door shows it: `repeatable` ones take several values."""

    name: str
    help: str
    metavar: str
    repeatable: bool


@dataclass(frozen=True, slots=True)
class RowOptions:
    """How the cells of rows are read; checked when built (see `of` for texts)."""

    timezone: str | None = field(
        default=None,
        metadata=_said(
            "The zone of times that have no offset, such as Europe/Berlin or +01:00.", "ZONE"
        ),
    )
    ambiguous: Ambiguous = field(
        default="reject",
        metadata=_said(
            "A local time that the clock showed twice, where the rows do not show which one it "
            "is: reject the row, or take the earlier or the later one.",
            "reject|earlier|later",
        ),
    )
    interval_start: Step | None = field(
        default=None,
        metadata=_said(
            "The times (or dates) name the start of an interval of this length, such as 15m or "
            "P1D: a row is then of its end, when its value can be known.",
            "STEP",
        ),
    )
    interval_end: Step | None = field(
        default=None,
        metadata=_said(
            "The times name the end of an interval of this length; they are kept as they are.",
            "STEP",
        ),
    )
    nulls: tuple[str, ...] = field(
        default=(),
        metadata=_said(
            "What else stands for null in a cell, such as missing or -9999 (and so -9999.0); "
            "repeatable. NA, N/A, NaN, null, none, -, ? and the empty cell do so except in ids.",
            "TOKEN",
        ),
    )
    valid_range: ValidRange | None = field(
        default=None,
        metadata=_said(
            "The readings that can be, both ends included; others are rejected.", "MIN:MAX"
        ),
    )
    quality: bool = field(
        default=True,
        metadata=_said(
            "Whether a column named quality is taken as the quality of the rows.", "true|false"
        ),
    )
    valid_ranges: Mapping[str, ValidRange] = field(default_factory=dict)
    """Of single series, by feature_type, where `valid_range` is not given (from the settings)."""

    def __post_init__(self) -> None:
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
        if len(self.nulls) > _MAX_NULLS or not all(isinstance(t, str) for t in self.nulls):
            raise InvalidInput("nulls", self.nulls, f"at most {_MAX_NULLS} texts")
        if type(self.quality) is not bool:
            raise InvalidInput("quality", self.quality, "true or false")

    @classmethod
    def of(
        cls,
        timezone: str | None = None,
        ambiguous: str | None = None,
        interval_start: object = None,
        interval_end: object = None,
        nulls: str | Iterable[object] = (),
        valid_range: object = None,
        quality: object = True,
        valid_ranges: Mapping[str, object] | None = None,
    ) -> RowOptions:
        """Options from texts, numbers and timedeltas; InvalidInput names the field at fault."""

        def step(value: object, name: str) -> Step | None:
            return None if value is None else Step.of(value, name)

        if isinstance(quality, str):
            quality = {"true": True, "false": False}.get(quality.lower(), quality)
        tokens = [nulls] if isinstance(nulls, str) else nulls
        return cls(
            timezone=timezone,
            ambiguous=ambiguous or "reject",  # type: ignore[arg-type]
            interval_start=step(interval_start, "interval_start"),
            interval_end=step(interval_end, "interval_end"),
            nulls=tuple(t if isinstance(t, str) else _token(t) for t in tokens),
            valid_range=None if valid_range is None else ValidRange.of(valid_range),
            quality=quality,  # type: ignore[arg-type]
            valid_ranges={
                check_id("valid_ranges", series, MAX_SERIES_LENGTH): ValidRange.of(
                    limits, f"valid_ranges {series}"
                )
                for series, limits in (valid_ranges or {}).items()
            },
        )

    @classmethod
    def options(cls) -> tuple[Option, ...]:
        """The fields that a caller may give, in order, for the doors."""
        return tuple(
            Option(one.name, one.metadata["help"], one.metadata["metavar"], one.name == "nulls")
            for one in fields(cls)
            if one.metadata
        )


def _token(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("nulls", value, "texts or numbers that stand for null")
    return repr(value)
