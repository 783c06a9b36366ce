"""Where our columns are among those of a file, body or frame, and what stands for the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ai_hub.definitions.values import MAX_ID_LENGTH, MAX_SERIES_LENGTH, check_id
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.errors import InvalidInput
from ai_hub.intake.options import option, options_of

if TYPE_CHECKING:
    import pyarrow as pa

NO_COLUMN = "none"
"""As `quality_column`: a column named quality is something else."""

_FIELDS = {
    "timestamp_column": "timestamp",
    "asset_column": "asset_id",
    "tenant_column": "tenant_id",
    "value_column": "value",
    "feature_type_column": "feature_type",
    "quality_column": "quality",
    "issued_at_column": "issued_at",
    "valid_from_column": "valid_from",
}
_LIMITS = {"asset_id": MAX_ID_LENGTH, "feature_type": MAX_SERIES_LENGTH}


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The names of columns, as `mapped` and `constants` have them; checked when built."""

    timestamp_column: str | None = option("NAME", "The column with the times.")
    asset_column: str | None = option("NAME", "The column with the asset ids.")
    tenant_column: str | None = option("NAME", "The column with the tenants.")
    value_column: str | None = option("NAME", "The column with the readings.", only="observations")
    feature_type_column: str | None = option(
        "NAME", "The column with the names of the series.", only="observations"
    )
    quality_column: str | None = option(
        "NAME",
        "The column with the quality (below 1: not to be used); none takes no column for it.",
        only="observations",
    )
    issued_at_column: str | None = option(
        "NAME", "The column with the issue times of forecasts.", only="weather"
    )
    valid_from_column: str | None = option(
        "NAME", "The column with the times from which values hold.", only="attributes"
    )
    column: tuple[str, ...] = option(
        "OURS=NAME",
        "The name of one of our columns, such as temperature=temp. Ours: temperature (°C), "
        "humidity (%), solar_irradiance (W/m²), wind_speed (m/s), cloud_cover (%), "
        "precipitation (mm).",
        default=(),
        most=len(WEATHER_COLUMNS),
        only="weather",
    )
    asset_id: str | None = option(
        "ID", "The asset of every row, if no column names it.", longest=MAX_ID_LENGTH
    )
    feature_type: str | None = option(
        "NAME",
        "The series of every row, if no column names it.",
        longest=MAX_SERIES_LENGTH,
        only="observations",
    )

    def __post_init__(self) -> None:
        for name in _FIELDS:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise InvalidInput(name, value, "the name of a column")
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if value is not None:
                check_id(name, value, limit)
        self.mapped()

    @classmethod
    def of(cls, *, column: object = (), **names: object) -> Self:
        """The names of texts, `column` as texts OURS=NAME or as ours to theirs."""
        if isinstance(column, Mapping):
            column = [f"{ours}={theirs}" for ours, theirs in column.items()]
        several = isinstance(column, Iterable) and not isinstance(column, str | bytes)
        texts = tuple(column) if several else (column,)  # type: ignore[arg-type]
        return cls(column=texts, **names)  # type: ignore[arg-type]

    def mapped(self) -> dict[str, str]:
        """Our columns to the names that they have."""
        given = {field: getattr(self, name) for name, field in _FIELDS.items()}
        found = {field: name for field, name in given.items() if name is not None}
        if not self.takes_quality:
            del found["quality"]
        for text in self.column:
            ours, equals, theirs = text.partition("=") if isinstance(text, str) else ("", "", "")
            if ours not in WEATHER_COLUMNS or not equals or not theirs:
                expected = f"OURS=NAME with one of {', '.join(WEATHER_COLUMNS)}"
                raise InvalidInput("column", text, expected)
            if ours in found:
                raise InvalidInput("column", text, f"{ours} once")
            found[ours] = theirs
        return found

    def constants(self) -> dict[str, str]:
        """Our columns that have one value for every row."""
        given = {name: getattr(self, name) for name in _LIMITS}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def takes_quality(self) -> bool:
        """Whether a column named quality is taken as the quality of the rows."""
        return self.quality_column != NO_COLUMN

    def complete(self, table: pa.Table) -> pa.Table:
        """`table` with the constants as columns. InvalidInput if it has one of them already."""
        import pyarrow as pa

        for name, value in self.constants().items():
            if name in table.column_names:
                expected = f"no such option where the rows have a column {name}"
                raise InvalidInput(name, value, expected)
            table = table.append_column(name, pa.repeat(pa.scalar(value), len(table)))
        return table


COLUMN_OPTIONS = options_of(ColumnNames)


def options_for(field: str) -> Sequence[str]:
    """The options that help where our column `field` is missing."""
    names = [name for name, named in _FIELDS.items() if named == field]
    if field in (*_LIMITS, "tenant_id"):
        names.append(field)
    if field == "weather":
        names.append("column")
    return names
