"""The schema is the same by whatever way it came about."""

from __future__ import annotations

import pytest

from ai_hub.config import Settings
from ai_hub.definitions.builtin import FEATURE_SETS
from ai_hub.stores.postgres import migrations as ours
from ai_hub.stores.postgres.migration_script import script
from ai_hub.stores.postgres.migrations import migrations
from servers import Server, migrate
from stores.postgres.migrations.catalog import differences, fresh, objects
from stores.postgres.migrations.conftest import Empty

ROWS = """
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
SELECT t, 't', 'a', 1 FROM generate_series(now() - INTERVAL '30 days', now(), '1 day') AS t
"""


def test_a_fresh_schema_has_the_guides_objects(server: Server) -> None:
    found = fresh(server)
    for name in ("timeseries_data", "ai_features", "weather_features", "feature_exports"):
        assert found[f"relation {name}"] == "r"
    for name in ("hourly_features", "daily_features", "forecast_basic_features",
                 "forecast_advanced_features", "anomaly_detection_features"):  # fmt: skip
        assert found[f"relation {name}"] == "v"
    names = [key.partition("(")[0] for key in found if key.startswith("function ")]
    assert {"function get_lag_features", "function get_rolling_features"} <= set(names)
    columns = [key for key in found if key.startswith("column ")]
    ids = [key for key in columns if key.endswith((".tenant_id", ".asset_id", ".feature_type"))]
    tables = [key for key in ids if found[f"relation {key.split()[1].split('.')[0]}"] == "r"]
    assert len(tables) > 10
    assert all(" C " in found[key] for key in tables)


def test_every_object_says_what_it_is_for(server: Server) -> None:
    found = fresh(server)
    said = {k.removeprefix("comment "): found[k] for k in found if k.startswith("comment ")}
    assert len(said) > 150
    assert [name for name, text in said.items() if not text] == []
    for chosen in FEATURE_SETS:
        for feature in chosen.features:
            unit = f" ({feature.unit})" if feature.unit else ""
            assert said[f"column {chosen.name}_features.{feature.name}"] == (
                feature.description + unit
            )


LAST = len(migrations())


@pytest.mark.parametrize(
    "upto",
    # From the first release and from the last one; from those between where there is time.
    [
        pytest.param(upto, marks=[] if upto in (1, LAST - 1) else [pytest.mark.long])
        for upto in range(1, LAST)
    ],
)
def test_an_upgraded_schema_is_a_fresh_one(server: Server, empty: Empty, upto: int) -> None:
    database = empty()
    run(server, database, migrations()[:upto])
    server.sql(ROWS, database)
    migrate(server.url(database))
    assert differences(objects(server, database), fresh(server)) == []
    assert server.sql("SELECT count(*) FROM ai_features", database) == [(31,)]


def test_a_weather_source_of_an_earlier_release_is_one_of_always(
    server: Server, empty: Empty
) -> None:
    database = empty()
    run(server, database, migrations()[:4])
    server.sql("INSERT INTO asset_weather_source VALUES ('t', 'a', 's')", database)
    migrate(server.url(database))
    kept = "SELECT asset_id, source_id, valid_from = '0001-01-01Z' FROM asset_weather_source"
    assert server.sql(kept, database) == [("a", "s", True)]


def run(server: Server, database: str, some: tuple[ours.Migration, ...]) -> None:
    """Some migrations as an earlier release, which had no others, applied them."""
    mode = ours.ServerFacts("", 14, *probe(server, database)).mode
    text = ours.MIGRATIONS_TABLE + "".join(one.sql(mode) + one.done(f"'{mode}'") for one in some)
    server.psql(database, "--single-transaction", script=text)


def probe(server: Server, database: str) -> tuple[str | None, str | None]:
    ((version, license),) = server.sql(
        "SELECT (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), "
        "current_setting('timescaledb.license', true)",
        database,
    )
    return version, license


def test_migrations_may_run_again(server: Server, empty: Empty) -> None:
    database = empty()
    migrate(server.url(database))
    server.sql(ROWS, database)
    server.sql("DELETE FROM ai_hub_migrations", database)
    migrate(server.url(database))
    assert differences(objects(server, database), fresh(server)) == []
    assert server.sql("SELECT count(*) FROM ai_features", database) == [(31,)]


def test_psql_does_what_the_runner_does(server: Server, empty: Empty) -> None:
    text = script(Settings())
    first, second = empty(), empty()
    server.psql(first, script=text)
    assert differences(objects(server, first), fresh(server)) == []
    server.psql(first, script=text)
    assert differences(objects(server, first), fresh(server)) == []
    # Whatever a session is set to.
    setting = (
        "SET standard_conforming_strings = off; SET timezone = 'Europe/Berlin';\n"
        "SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard';\n"
    )
    server.psql(second, script=setting + text)
    assert differences(objects(server, second), fresh(server)) == []


def test_each_way_goes_on_where_the_other_stopped(server: Server, empty: Empty) -> None:
    one, other = empty(), empty()
    run(server, one, migrations()[:1])
    server.psql(one, script=script(Settings()))
    server.psql(other, script=script(Settings()))
    migrate(server.url(other))
    for database in (one, other):
        assert differences(objects(server, database), fresh(server)) == []
