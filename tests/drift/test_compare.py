"""What is an alarm, what is none, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import DAY, HOUR, parse_time
from ai_hub.drift.baseline import Baseline, Gathering
from ai_hub.drift.compare import Yardstick, compare
from ai_hub.drift.drift import EFFECTS, Comparison, Drift
from ai_hub.drift.sketch import HOURS, Sketch
from ai_hub.errors import InvalidInput
from drift.years import WEEK

START = parse_time("2024-01-01T00:00:00Z")
Columns = dict[str, np.ndarray]


def world(weeks: int, seed: int = 0) -> tuple[np.ndarray, Columns]:
    """Hourly rows of some weeks: a rhythm with noise, and columns of other kinds."""
    random = np.random.default_rng(seed)
    hour = np.arange(weeks * HOURS)
    load = 20 + 5 * np.sin(2 * np.pi * hour / 24) + random.normal(size=len(hour))
    columns = {
        "load": load,
        "gaps": np.where(random.random(len(hour)) < 0.05, np.nan, load),
        "constant": np.full(len(hour), 7.0),
        "never": np.full(len(hour), np.nan),
        "flag": (random.random(len(hour)) < 0.05).astype(float),
        "coin": (random.random(len(hour)) < 0.5).astype(float),
        "hour_of_day": hour % 24.0,
    }
    return START + hour * HOUR, columns


def baseline_of(time: np.ndarray, columns: Columns) -> Baseline:
    gathering = Gathering([*columns], ["hour_of_day"] if "hour_of_day" in columns else [])
    gathering.add(time, columns)
    return gathering.baseline()


def sketch_of(time: np.ndarray, columns: Columns, **wrong: np.ndarray) -> Sketch:
    sketch = Sketch([*columns])
    sketch.add(time, columns, wrong)
    return sketch


def compared(weeks: int = 20, **changes: np.ndarray) -> Comparison:
    """The week after some weeks against these, some columns of it changed."""
    time, columns = world(weeks + 1)
    past = weeks * HOURS
    baseline = baseline_of(time[:past], {name: one[:past] for name, one in columns.items()})
    now = {name: one[past:] for name, one in columns.items()} | changes
    return compare(baseline, sketch_of(time[past:], now), int(time[-1]) + HOUR)


def of(comparison: Comparison, name: str) -> Drift:
    return next(drift for drift in comparison.drifts if drift.feature == name)


LAST = {name: one[-HOURS:] for name, one in world(21)[1].items()}


@pytest.mark.parametrize("weeks", [4, 8, 20, 52])
def test_a_week_like_the_others_is_no_alarm(weeks: int) -> None:
    found = compared(weeks)
    assert not found.alarm
    assert {drift.sentence for drift in found.drifts} == {"As usual."}
    assert (found.windows, found.enough, found.seasonal) == (weeks, True, weeks == 52)
    assert [effect.name for effect in found.drifts[0].effects] == [*EFFECTS]
    assert [drift.rows for drift in found.drifts] == [HOURS] * 7


def test_few_weeks_are_too_short_to_tell() -> None:
    found = compared(3, load=LAST["load"] * 1_000)
    assert not found.enough
    assert not found.alarm
    assert of(found, "load").sentence == "Too short to tell: 3 past weeks, and 4 are needed."
    assert found.reference.startswith("3 past weeks (4 are needed)")


@pytest.mark.parametrize(
    ("name", "now", "direction", "says"),
    [
        ("load", LAST["load"] + 4, "up", "Values went up by 0."),
        ("load", LAST["load"] - 4, "down", "Values went down by 0."),
        ("load", LAST["load"] * 1_000, "up", "about 1,000 times what they were, as in another"),
        ("load", LAST["load"] / 1_000, "down", "about 1/1,000 of what they were, as in another"),
        ("load", np.full(HOURS, 20.0), "elsewhere", "The values are all the same, which they"),
        ("load", np.roll(LAST["load"], 1), "elsewhere", "profile of the week is 0.9 h later"),
        ("load", np.roll(LAST["load"], -1), "elsewhere", "profile of the week is 1.0 h earlier"),
        ("load", np.full(HOURS, np.nan), None, "100.0% of the values are missing, 0.0% were."),
        ("gaps", LAST["load"] + np.nan, None, "100.0% of the values are missing, 5."),
        ("constant", np.full(HOURS, 8.0), "up", "Values are spread differently: PSI "),
        ("never", LAST["load"], None, "0.0% of the values are missing, 100.0% were."),
        ("flag", 1 - LAST["flag"], "up", "Values are spread differently: PSI "),
        ("coin", np.ones(HOURS), "up", ""),
    ],
)  # fmt: skip
def test_each_fault_is_an_alarm_that_says_what_it_is(
    name: str, now: np.ndarray, direction: str | None, says: str
) -> None:
    found = compared(20, **{name: now})
    drift = of(found, name)
    assert drift.alarm
    assert drift.direction == direction
    assert says in drift.sentence
    assert [other.feature for other in found.drifts if other.alarm] == [name]


def test_violations_are_an_alarm_of_their_own() -> None:
    time, columns = world(21)
    past = 20 * HOURS
    baseline = baseline_of(time[:past], {name: one[:past] for name, one in columns.items()})
    now = {name: one[past:] for name, one in columns.items()}
    sketch = sketch_of(time[past:], now, load=np.arange(HOURS) < 42)
    drift = of(compare(baseline, sketch, int(time[-1]) + HOUR), "load")
    assert drift.sentence == "25.0% of the values are outside what they may be, 0.0% were."
    assert [effect.name for effect in drift.effects if effect.alarm] == ["violations"]
    assert drift.effect("violations").value == 0.25


def test_of_what_the_clock_decides_only_gaps_are_compared() -> None:
    other = np.full(HOURS, 3.0)
    assert not of(compared(20, hour_of_day=other), "hour_of_day").alarm
    assert of(compared(20, hour_of_day=other + np.nan), "hour_of_day").alarm


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 9, 30, 52]))
def test_a_baseline_is_like_itself(seed: int, weeks: int) -> None:
    time, columns = world(weeks, seed)
    found = compare(baseline_of(time, columns), sketch_of(time, columns), int(time[-1]) + 99 * WEEK)
    assert [drift.sentence for drift in found.drifts if drift.alarm] == []


@given(
    st.integers(0, 2**32 - 1),
    st.floats(1e-6, 1e6),
    st.floats(-1e3, 1e3),
    st.booleans(),
)
def test_units_make_no_difference(seed: int, scale: float, offset: float, turned: bool) -> None:
    time, columns = world(9, seed)
    columns = {"load": columns["load"], "coin": columns["coin"]}
    if turned:
        columns["load"][-HOURS:] = np.roll(columns["load"][-HOURS:], 5)

    def found(factor: float, more: float) -> Comparison:
        other = {name: (one + more) * factor for name, one in columns.items()}
        past = {name: one[:-HOURS] for name, one in other.items()}
        now = {name: one[-HOURS:] for name, one in other.items()}
        sketch = sketch_of(time[-HOURS:], now)
        return compare(baseline_of(time[:-HOURS], past), sketch, int(time[-1]) + HOUR)

    for one, other in zip(found(1, 0).drifts, found(scale, offset).drifts, strict=True):
        for a, b in zip(one.effects, other.effects, strict=True):
            assert (a.value is None, a.threshold is None) == (b.value is None, b.threshold is None)
            if a.value is not None and b.value is not None:
                assert b.value == pytest.approx(a.value, rel=0.1, abs=0.05)


def test_kept_or_not_a_sketch_says_the_same() -> None:
    time, columns = world(13)
    past = {name: one[:-HOURS] for name, one in columns.items()}
    baseline = baseline_of(time[:-HOURS], past)
    sketch = sketch_of(time[-HOURS:], {name: one[-HOURS:] for name, one in columns.items()})
    kept = Sketch.from_bytes(sketch.to_bytes())
    end = int(time[-1]) + HOUR
    assert compare(baseline, kept, end) == compare(baseline, sketch, end)


def test_a_window_of_some_hours_is_compared_with_the_same_hours() -> None:
    time, columns = world(21)
    past = 20 * HOURS
    baseline = baseline_of(time[:past], {name: one[:past] for name, one in columns.items()})
    at_six = np.arange(past + 6, past + HOURS, 24)
    now = {name: one[at_six] for name, one in columns.items()}
    found = compare(baseline, sketch_of(time[at_six], now), int(time[-1]) + HOUR)
    assert not found.alarm
    assert ", at 7 hours of the week" in found.reference
    now["load"] = now["load"] + 8
    found = compare(baseline, sketch_of(time[at_six], now), int(time[-1]) + HOUR)
    assert of(found, "load").direction == "up"


def test_few_rows_tell_nothing_of_values() -> None:
    time, columns = world(21)
    baseline = baseline_of(time[:-HOURS], {name: one[:-HOURS] for name, one in columns.items()})
    now = {name: one[-3:] * 100 for name, one in columns.items()}
    found = compare(baseline, sketch_of(time[-3:], now), int(time[-1]) + HOUR)
    assert not of(found, "load").alarm
    assert of(found, "load").effect("wasserstein").value is None


def test_of_hardly_any_row_nothing_is_an_alarm() -> None:
    time, columns = world(21)
    baseline = baseline_of(time[:-HOURS], {name: one[:-HOURS] for name, one in columns.items()})
    for rows, alarm in ((6, False), (7, True)):
        now = {name: np.full(rows, np.nan) for name in columns}
        found = compare(baseline, sketch_of(time[-rows:], now), int(time[-1]) + HOUR)
        assert found.alarm == alarm


def test_many_assets_are_compared_by_the_whole_of_their_values() -> None:
    random = np.random.default_rng(5)
    time, columns = world(9)
    sizes = np.exp(random.normal(size=50))
    load = np.concatenate([size * columns["load"] for size in sizes])
    times = np.tile(time, 50)
    now = times >= time[-HOURS]
    baseline = baseline_of(times[~now], {"load": load[~now]})
    assert baseline.levels.shape[-1] == 6
    end = int(time[-1]) + HOUR
    assert not compare(baseline, sketch_of(times[now], {"load": load[now]}), end).alarm
    half = np.subtract(*np.quantile(load[~now], (0.75, 0.25))) / 2
    found = compare(baseline, sketch_of(times[now], {"load": load[now] + half}), end)
    assert of(found, "load").direction == "up"
    late = sketch_of(times[now], {"load": load[np.flatnonzero(now) - 1]})
    assert of(compare(baseline, late, end), "load").effect("time_shift").alarm


def test_only_features_that_both_have_are_compared() -> None:
    time, columns = world(9)
    baseline = baseline_of(time, {name: columns[name] for name in ("load", "flag")})
    sketch = sketch_of(
        time[-HOURS:], {"new": columns["coin"][-HOURS:], "flag": columns["flag"][-HOURS:]}
    )
    end = int(time[-1]) + 9 * DAY
    assert [drift.feature for drift in compare(baseline, sketch, end).drifts] == ["flag"]
    other = sketch_of(time[-HOURS:], {"new": columns["coin"][-HOURS:]})
    with pytest.raises(InvalidInput, match=r"got \['new'\], expected some of load, flag"):
        compare(baseline, other, end)
    with pytest.raises(InvalidInput, match="current: got 'no rows'"):
        compare(baseline, Sketch(["load"]), end)


def test_with_a_year_seasons_are_compared_with_themselves() -> None:
    random = np.random.default_rng(6)
    hour = np.arange(80 * HOURS)
    turn = np.cos(2 * np.pi * hour / 8_766)
    load = 20 + 5 * np.sin(2 * np.pi * hour / 24) + 8 * turn + random.normal(size=len(hour))
    time = START + hour * HOUR

    def alarms(first: int, past: int) -> list[bool]:
        rows = slice(first * HOURS, (first + past) * HOURS)
        baseline = baseline_of(time[rows], {"load": load[rows]})
        yardstick = Yardstick.of(baseline, np.ones(HOURS, np.bool_))
        found = []
        for week in range(first + past, 80):
            rows = slice(week * HOURS, (week + 1) * HOURS)
            sketch = sketch_of(time[rows], {"load": load[rows]})
            found.append(yardstick.measure(sketch, int(time[rows][-1]) + HOUR).alarm)
        return found

    assert np.mean(alarms(0, 52)) < 0.2
    # A baseline of summer says nothing of winter, and says so.
    assert all(alarms(18, 14)[13:28])
