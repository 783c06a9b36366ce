"""The extremes of overlapping ranges are those of their values, of whatever sizes they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.engines.extremes import extremes


@given(st.data())
def test_each_range_by_itself(data: st.DataObject) -> None:
    values = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=1, max_size=70)), float)
    edge = st.integers(0, len(values))
    pairs = data.draw(st.lists(st.tuples(edge, edge), max_size=30))
    low = np.array([min(pair) for pair in pairs], np.int64)
    high = np.array([max(pair) for pair in pairs], np.int64)
    for function, of in ((np.minimum, min), (np.maximum, max)):
        found = extremes(function, values, low, high).tolist()
        for (a, b), one in zip(zip(low, high, strict=True), found, strict=True):
            assert one == of(values[a:b]) if b > a else np.isnan(one)
