"""A sample is the rows of the lowest ranks, however the work was cut, and is kept as bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ai_hub.drift.baseline import Gathering
from ai_hub.drift.sample import Sample, baseline_of, ranks
from ai_hub.drift.sketch import Sketch
from ai_hub.engines.arrays import Masks
from ai_hub.errors import InvalidInput

ASSETS = ("a", "b", "ü")


def rows(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    drawn = np.random.default_rng(1)
    code = np.sort(drawn.integers(0, len(ASSETS), count))
    return code, np.arange(count) * 60_000_000, drawn.normal(size=count)


def filled(count: int, parts: int, most: int) -> Sample:
    sample = Sample(["x", "n"], most)
    code, time, value = rows(count)
    for part in np.array_split(np.random.default_rng(parts).permutation(count), parts):
        missing: Masks = {"x": time[part] % 7 == 0}
        wrong: Masks = {"n": value[part] > 1} if (value[part] > 1).any() else {}
        columns = {"x": value[part], "n": np.arange(count)[part], "other": value[part]}
        sample.add(sample.draw(ASSETS, code[part], time[part], columns, missing, wrong))
    return sample


@pytest.mark.parametrize("parts", [1, 3, 50])
@pytest.mark.parametrize("most", [10, 400, 5_000])
def test_it_is_the_same_rows_however_the_work_was_cut(parts: int, most: int) -> None:
    count = 1_000
    code, time, value = rows(count)
    sample = filled(count, parts, most)
    assert sample.rows == count
    kept = np.sort(np.argsort(ranks(ASSETS, code, time))[:most])
    sketch = sample.sketch()
    assert sketch.rows.sum(1).tolist() == [len(kept)] * 2
    assert sketch.missing.sum(1).tolist() == [(time[kept] % 7 == 0).sum(), 0]
    assert sketch.violations.sum(1).tolist() == [0, (value[kept] > 1).sum()]
    assert sketch.to_bytes() == filled(count, 1, most).sketch().to_bytes()
    if most <= 400:  # few enough to be kept as they are
        assert sorted(sketch.points.value[sketch.points.cell >= 168]) == kept.tolist()


def test_ranks_are_by_asset_and_time_alone_and_look_drawn() -> None:
    code, time, _ = rows(10_000)
    found = ranks(ASSETS, code, time)
    assert ranks(("b",), np.zeros(1, np.int64), time[5_000:5_001]) == found[5_000]
    shares = np.histogram(found.astype(float), 10, (0, 2.0**64))[0]
    assert shares.min() > 900
    assert shares.max() < 1_100


@pytest.mark.parametrize("most", [10, 5_000])
def test_what_is_kept_of_it_gives_the_baseline_of_its_rows(most: int) -> None:
    count = 1_000
    code, time, value = rows(count)
    kept = np.sort(np.argsort(ranks(ASSETS, code, time))[:most])
    gathering = Gathering(["x", "n"], {"n"})
    columns = {"x": np.where(time % 7 == 0, np.nan, value)[kept], "n": np.arange(count)[kept]}
    gathering.add(time[kept], columns, {"n": value[kept] > 1})
    expected = gathering.baseline()
    found = baseline_of(filled(count, 3, most).to_bytes(), {"n"})
    assert (found.features, found.clock) == (("x", "n"), {"n"})
    for one in ("weeks", "week_counts", "centre", "spread", "levels"):
        np.testing.assert_array_equal(getattr(found, one), getattr(expected, one))
    assert found.whole.to_bytes() == expected.whole.to_bytes()


def test_forty_features_of_a_year_are_some_megabytes() -> None:
    random = np.random.default_rng(1)
    names = [f"f{place}" for place in range(40)]
    time = np.arange(8_760) * 3_600_000_000
    columns = {name: random.normal(size=len(time)) for name in names}
    sample = Sample(names)
    sample.add(sample.draw(["a"], np.zeros(len(time), np.int64), time, columns, {}, {}))
    assert len(sample.to_bytes()) < 4_000_000


def table() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema({"time": pa.int64()})):
        pass
    return bytes(sink.getvalue())


@pytest.mark.parametrize("data", [b"", b"PAR1", Sketch(["f"]).to_bytes(), table()])
def test_what_is_no_sample_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^baseline: got '\d+ bytes', expected what is kept of"):
        baseline_of(data, ())
