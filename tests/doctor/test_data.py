"""Lines about data, provoked one by one on each store, and mended by what they advise."""

from __future__ import annotations

from datetime import timedelta

import pytest

from doctor.conftest import HOUR, NOW, Practice, hourly

pytestmark = pytest.mark.usefixtures("any_store")


def test_no_readings(practice: Practice) -> None:
    practice.ingest(hourly())
    practice.fine("readings", "late", "gaps", "flat", "future", "arrivals", "quality", "weather")
    (line,) = practice.look("--tenant", "nobody")["readings"]
    assert line["state"] == "warning"
    assert line["said"] == "nobody has no readings that can be used"
    assert line["command"] == "ai-hub ingest FILE --tenant nobody"
    practice.mend(line["command"], FILE=practice.csv(hourly()))
    assert practice.look("--tenant", "nobody")["readings"][0]["state"] == "ok"


def test_late_assets(practice: Practice) -> None:
    practice.ingest([*hourly("a"), *hourly("b o'b", until=NOW - 9 * HOUR)])
    mends = practice.wrong("late", "warning", "1 of 2 series", "b o'b", tenant="acme")
    practice.mend(mends, FILE=practice.csv(hourly("b o'b")))
    practice.fine("late")


def test_all_are_late(practice: Practice) -> None:
    practice.ingest(hourly(until=NOW - 30 * HOUR))
    practice.mend(practice.wrong("late", "warning", "1 of 1"), FILE=practice.csv(hourly()))
    practice.fine("late")


def test_gaps(practice: Practice) -> None:
    rows = hourly()
    practice.ingest([*rows[:20], *rows[30:]])
    mends = practice.wrong("gaps", "warning", "1 gap in 1 series", "11 h")
    practice.mend(mends, FILE=practice.csv(rows))
    practice.fine("gaps")


def test_flat_lines(practice: Practice) -> None:
    practice.ingest([*hourly("a", value=lambda n: 5 if n < 40 else n), *hourly("off", 48),
                     *hourly("always", value=lambda n: 3)])  # fmt: skip
    mends = practice.wrong("flat", "warning", "1 series", "is 5 since", "for 1.62 d")
    practice.mend(mends, FILE=practice.csv(hourly("a")))
    practice.fine("flat")


def test_zeros_are_flat_after_three_days(practice: Practice) -> None:
    practice.ingest(hourly(hours=120, value=lambda n: 0 if n < 60 else n))
    practice.fine("flat")
    practice.ingest(hourly(hours=120, value=lambda n: 0 if n < 80 else n))
    practice.wrong("flat", "warning", "is 0 since")


def test_readings_of_times_to_come(practice: Practice) -> None:
    practice.ingest([*hourly(), (NOW + timedelta(days=400), "a", 7.0)])
    mends = practice.wrong("future", "warning", "1 series of acme", "zone or clock", tenant="acme")
    practice.mend(mends)
    practice.fine("future", "late", "readings")


def test_doubtful_readings(practice: Practice) -> None:
    rows = [(*one, 0 if n < 30 else 1) for n, one in enumerate(hourly())]
    practice.ingest(rows, "timestamp,asset_id,value,quality")  # type: ignore[arg-type]
    found = practice.look()
    assert found["quality"][0]["figure"] == pytest.approx(30 / 96)
    practice.mend(practice.wrong("quality", "warning", "31%"), FILE=practice.csv(hourly()))
    practice.fine("quality")


def test_weather_that_nobody_is_mapped_to(practice: Practice) -> None:
    practice.ingest(hourly())
    weather = [(NOW - n * HOUR, "JFK", 12.5) for n in range(30)]
    named = practice.csv(weather, "timestamp,asset_id,temperature", "w.csv")
    practice.run("ingest-weather", named, "--tenant", "acme")
    mends = practice.wrong("weather", "warning", "1 of 1 asset of", "JFK")
    assert mends == "ai-hub weather-source --tenant acme --source JFK --asset a"
    practice.mend(mends)
    practice.fine("weather")


def test_weather_that_is_old(practice: Practice) -> None:
    practice.ingest(hourly())
    header = "timestamp,asset_id,temperature"
    old = practice.csv([(NOW - timedelta(days=3), "a", 12.5)], header, "w.csv")
    practice.run("ingest-weather", old, "--tenant", "acme")
    mends = practice.wrong("weather", "warning", "1 of 1 asset of")
    practice.mend(mends, FILE=practice.csv([(NOW, "a", 12.5)], header, "w.csv"))
    practice.fine("weather")


def test_a_tenant_has_lines_of_its_own(practice: Practice) -> None:
    practice.ingest(hourly(until=NOW - 30 * HOUR))
    practice.run("ingest", practice.csv(hourly()), "--tenant", "fine")
    assert practice.look("--tenant", "fine")["late"][0]["state"] == "ok"
    assert practice.look("--tenant", "acme")["late"][0]["state"] == "warning"
    assert [one["tenant_id"] for one in practice.look()["late"]] == ["acme"]


def test_an_id_that_cannot_be_is_refused(practice: Practice) -> None:
    practice.run("doctor", "--tenant", "", code=2)
