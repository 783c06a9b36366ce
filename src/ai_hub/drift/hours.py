"""Sketches by hour of what is computed, a bounded number of them at a time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from ai_hub.drift.sketch import Sketch
from ai_hub.engines.arrays import Columns, Floats, Mask, Masks

_K = TypeVar("_K", bound=Hashable)


class Computed(NamedTuple):
    """Vectors of so many assets as of one time: columns that are filled, where they were missing,
    and where they are outside what they may be."""

    at: int
    assets: int
    columns: Columns
    missing: Masks
    violations: Masks


class Hours(Generic[_K]):
    """A sketch for each key and hour, at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sketches: dict[tuple[_K, int], Sketch] = {}

    def __len__(self) -> int:
        return len(self._sketches)

    @property
    def full(self) -> bool:
        """Whether there is no room for another hour."""
        return len(self._sketches) >= self._most

    def fold(self, computed: Sequence[tuple[_K, int, Computed]]) -> list[tuple[_K, int, Computed]]:
        """Sketch what was computed; what found no room."""
        groups: dict[tuple[_K, int], list[Computed]] = {}
        for key, hour, one in computed:
            groups.setdefault((key, hour), []).append(one)
        left: list[tuple[_K, int, Computed]] = []
        for place, some in groups.items():
            sketch = self._sketches.get(place)
            if sketch is None:
                if self.full:
                    left += ((*place, one) for one in some)
                    continue
                sketch = self._sketches[place] = Sketch([*some[0].columns])
            _add(sketch, some)
        return left

    def first(self, most: int) -> list[tuple[_K, int]]:
        """The keys and hours of the first ones, at most so many."""
        return [*self._sketches][:most]

    def documents(self, places: Sequence[tuple[_K, int]]) -> list[bytes]:
        """The sketches of some keys and hours as they are kept."""
        return [self._sketches[place].to_bytes() for place in places]

    def drop(self, places: Sequence[tuple[_K, int]]) -> None:
        """Hold some no longer."""
        for place in places:
            del self._sketches[place]

    def clear(self) -> None:
        """Hold none any more."""
        self._sketches.clear()


def merged_documents(one: bytes, other: bytes) -> bytes:
    """Two sketches as they are kept, as one."""
    both = (Sketch.from_bytes(one), Sketch.from_bytes(other))
    return Sketch.merged(both).to_bytes()


def _add(sketch: Sketch, computed: Sequence[Computed]) -> None:
    counts = [one.assets for one in computed]
    time = np.repeat([one.at for one in computed], counts)
    missing = [one.missing for one in computed]
    columns: dict[str, Floats] = {}
    for name in sketch.features:
        values = np.concatenate([one.columns[name] for one in computed]).astype(np.float64)
        if any(name in masks for masks in missing):
            values[_mask(missing, name, counts)] = np.nan
        columns[name] = values
    wrong = dict.fromkeys(name for one in computed for name in one.violations)
    violations = {name: _mask([one.violations for one in computed], name, counts) for name in wrong}
    sketch.add(time, columns, violations)
    # Now, rather than when many wait: a sketch holds little then.
    _ = sketch.points


def _mask(masks: Sequence[Masks], name: str, counts: Sequence[int]) -> Mask:
    """The masks of a feature one after another; without one nothing is masked."""
    both = zip(masks, counts, strict=True)
    return np.concatenate([one.get(name, np.zeros(count, np.bool_)) for one, count in both])
