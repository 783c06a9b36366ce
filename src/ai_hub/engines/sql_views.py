"""What is read of users' own views, in words that PostgreSQL and DuckDB share, or one of them has.

Names come from a definition: they were checked there, and are quoted here, in one place.
"""

from __future__ import annotations

from ai_hub.engines.plan import ViewReads


def identifier(name: str) -> str:
    """One name, whatever is in it, as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


def quoted(name: str) -> str:
    """A view, a schema and a view, or a column as it stands in a statement."""
    return ".".join(map(identifier, name.split(".")))


def number(column: str, is_boolean: bool) -> str:
    """A column as a float: of a boolean 0 or 1."""
    return f"{quoted(column)}{'::int' if is_boolean else ''}::float8"


def has_number(value: str) -> str:
    """Whether there is a number: not null, not NaN, not infinite."""
    return f"({value} > '-Infinity'::float8 AND {value} < 'Infinity'::float8)"


def newest_of_points(reads: ViewReads, booleans: frozenset[str]) -> str:
    """For PostgreSQL: of each point how many rows are the newest, and a value, for each feature.

    Parameters: tenants, assets, times.
    """
    outputs = []
    for feature in reads.features:
        value = number(feature.column, feature.column in booleans)
        rows = (
            f"SELECT {value} AS value FROM {quoted(reads.view)} AS v "
            "WHERE v.tenant_id = r.tenant AND v.asset_id = r.asset AND v.timestamp <= r.t "
            f"AND v.timestamp > r.t - {feature.max_age.micros} * interval '1 microsecond' "
            f"AND {has_number(value)} ORDER BY v.timestamp DESC FETCH FIRST 1 ROW WITH TIES"
        )
        # In the list of outputs the entity is a constant of each look, which reaches into a view.
        outputs.append(f"(SELECT ARRAY[count(*), min(value)] FROM ({rows}) AS newest)")
    return (
        f"SELECT {', '.join(outputs)} FROM unnest($1::text[], $2::text[], $3::timestamptz[]) "
        "WITH ORDINALITY AS r(tenant, asset, t, place) ORDER BY r.place"
    )
