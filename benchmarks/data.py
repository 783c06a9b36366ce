"""Seeded data: hourly meter readings with gaps, and weather for every asset."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

TENANT = "tenant-123"
HOUR = 3_600_000_000
START = 1_735_689_600_000_000
"""2025-01-01T00:00Z in microseconds."""

_TIME = pa.timestamp("us", "UTC")
_MISSING = 0.05


def asset_names(assets: int) -> list[str]:
    return [f"meter-{i:06d}" for i in range(assets)]


def observations(
    assets: int, hours: int, seed: int = 1, first: int = 0, missing: float = _MISSING
) -> pa.Table:
    """Readings of some assets sorted by asset and time; `first` numbers the first asset."""
    random = np.random.default_rng([seed, first])
    code, hour = _grid(assets, hours, random, missing)
    size = len(code)
    phase = random.uniform(0, 2, assets)[code]
    level = random.uniform(10, 60, assets)[code]
    daily = np.sin((hour % 24) / 24 * 2 * np.pi - phase)
    weekend = np.where((hour // 24 + 2) % 7 >= 5, 0.8, 1.0)
    value = np.round(level * weekend * (1 + 0.4 * daily) + random.normal(0, 2, size), 3)
    return pa.table(
        {
            "timestamp": pa.array(START + hour * HOUR).cast(_TIME),
            "asset_id": _ids(code, first, assets),
            "value": value,
        }
    )


def weather(
    assets: int, hours: int, seed: int = 2, first: int = 0, missing: float = _MISSING
) -> pa.Table:
    """Hourly weather of some assets, known when it happens; some columns null here and there."""
    random = np.random.default_rng([seed, first])
    code, hour = _grid(assets, hours, random, missing)
    size = len(code)
    time = pa.array(START + hour * HOUR).cast(_TIME)
    sun = np.maximum(0.0, np.sin((hour % 24 - 6) / 12 * np.pi))
    columns = {
        "temperature": 10 + 8 * sun + random.normal(0, 3, size),
        "humidity": np.clip(random.normal(60, 15, size), 0, 100),
        "solar_irradiance": 800 * sun,
        "wind_speed": random.gamma(2, 2, size),
        "cloud_cover": random.uniform(0, 100, size),
        "precipitation": np.maximum(0, random.normal(-1, 1, size)),
    }
    return pa.table(
        {"timestamp": time, "issued_at": time, "asset_id": _ids(code, first, assets)}
        | {
            name: pa.array(np.round(values, 2), mask=random.random(size) < 0.02)
            for name, values in columns.items()
        }
    )


def _grid(
    assets: int, hours: int, random: np.random.Generator, missing: float
) -> tuple[np.ndarray, np.ndarray]:
    kept = random.random(assets * hours) >= missing
    code, hour = np.divmod(np.flatnonzero(kept), hours)
    return code, hour


def _ids(code: np.ndarray, first: int, assets: int) -> pa.DictionaryArray:
    names = asset_names(first + assets)[first:]
    return pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), names)
