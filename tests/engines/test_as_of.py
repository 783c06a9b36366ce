"""The index gives what a search gives, whatever the keys."""

from __future__ import annotations

import numpy as np
import pytest

from ai_hub.engines import as_of
from ai_hub.engines.as_of import AsOfIndex

REGULAR = np.arange(0, 90_000, 15)
GAPS = REGULAR[(REGULAR < 20_000) | (REGULAR > 50_000)]
UNEVEN = np.cumsum(np.random.default_rng(0).integers(5, 15, 6_000))
SPARSE = np.append(REGULAR, 10_000_000)
ONE_CLOSE = np.append(0, REGULAR + 1)


@pytest.mark.parametrize("few", [1, 1_000_000])
@pytest.mark.parametrize(
    "keys", [REGULAR, GAPS, UNEVEN, SPARSE, ONE_CLOSE, REGULAR[:1], REGULAR[:0]]
)
def test_the_last_key_at_or_before(
    keys: np.ndarray, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_of, "FEW", few)
    ends = (int(keys[0]), int(keys[-1])) if len(keys) else (0, 0)
    around = [end + shift for end in ends for shift in (-1_000_000, -1, 0, 1, 1_000_000)]
    at = np.concatenate([keys, keys + 1, keys - 1, around]).astype(np.int64)
    expected = [np.count_nonzero(keys <= t) - 1 for t in at[::37]]
    assert AsOfIndex(keys).last(at)[::37].tolist() == expected
