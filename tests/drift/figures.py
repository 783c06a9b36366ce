"""How often there is an alarm without drift, and how often faults are found, in simulated years.

`python tests/drift/figures.py [RUNS]` prints the table of docs/drift.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from ai_hub.drift.compare import Yardstick
from ai_hub.drift.sketch import HOURS
from drift.years import FAULTS, FIRST, SET, Fault, World, Year, baseline_of, windows_of


@dataclass(frozen=True)
class Figures:
    """Shares: of feature-weeks and of weeks of the whole set with an alarm where nothing drifts,
    and of faults that were found in the seven days after they began."""

    feature_weeks: float
    set_weeks: float
    found: dict[Fault, float]


def figures(
    year: Year,
    runs: int,
    past: int = 52,
    weeks: int = 52,
    step: int = HOURS,
    faults: Sequence[Fault] = FAULTS,
    seed: int = 0,
) -> Figures:
    """Those of some runs: each a baseline of `past` weeks, and `weeks` after it that are compared
    with it, the windows `step` hours apart. With a step of a day, a week has an alarm where any of
    its days has one. Faults begin in the middle of these weeks."""
    features, sets = [], []
    found: dict[Fault, list[bool]] = {fault: [] for fault in faults}
    whole = np.ones(HOURS, np.bool_)
    for run in range(runs):
        world = World.of(year, past + weeks, seed + run)
        yardstick = Yardstick.of(baseline_of(world, past), whole)
        alarms = []
        for sketch, end in windows_of(*world.features(FIRST + past, weeks), step):
            drifts = yardstick.measure(sketch, end).drifts
            alarms.append([drift.alarm for drift in drifts])
        shown = np.array(alarms)
        days = HOURS // step
        shown = shown[: len(shown) // days * days].reshape(-1, days, len(SET.features)).any(1)
        features.append(shown.mean())
        sets.append(shown.any(1).mean())
        at = FIRST + past + weeks // 2
        for fault in faults:
            sketch, end = next(windows_of(*world.with_fault(fault, at).features(at, 1)))
            found[fault].append(yardstick.measure(sketch, end).alarm)
    shares = {fault: float(np.mean(hits)) for fault, hits in found.items()}
    return Figures(float(np.mean(features)), float(np.mean(sets)), shares)


@dataclass(frozen=True)
class Case:
    """A kind of year: how many runs of 200, the weeks behind and after, and how often one looks."""

    name: str
    year: Year
    runs: int = 10
    past: int = 52
    weeks: int = 26
    step: int = HOURS


CASES: tuple[Case, ...] = (
    Case("as described", Year(), runs=200),
    Case("looked at each day", Year(), runs=4, step=24),
    Case("baseline of 26 weeks", Year(), past=26),
    Case("baseline of 12 weeks", Year(), past=12),
    Case("baseline of 8 weeks", Year(), past=8),
    Case("baseline of 5 weeks", Year(), past=5),
    Case("summer and winter", Year(season=1.0)),
    Case("heavy tails (Student's t of 4)", Year(heavy=True)),
    Case("a part for weeks of 0.15", Year(weekly=0.15)),
    Case("follows the temperature by 0.2", Year(weather=0.2)),
    Case("noise of 0.5, 0.9 an hour", Year(noise=0.5, phi=0.9)),
    Case("noise of 0.3, 0.99 an hour", Year(noise=0.3, phi=0.99)),
)
_PAIRS: tuple[tuple[Fault, ...], ...] = (
    ("half_iqr_up", "half_iqr_down"),
    ("unit",),
    ("stuck",),
    ("hour_late", "hour_early"),
)


def row(case: Case, runs: int) -> str:
    """A row of the table."""
    one = figures(case.year, runs, case.past, case.weeks, case.step)
    shares = [float(np.mean([one.found[fault] for fault in pair])) for pair in _PAIRS]
    cells = [f"{share:.1%}" for share in (one.feature_weeks, one.set_weeks, *shares)]
    return f"| {case.name} | {runs} | {' | '.join(cells)} |"


def main(runs: int) -> None:
    """Print the table, a row as it is ready."""
    heads = ("half an IQR", "kWh to Wh", "stuck", "an hour late or early")
    print(f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    print(f"| years | runs | feature-weeks | weeks of the set | {' | '.join(heads)} |")
    print(f"|---|{'---|' * (3 + len(heads))}")
    for case in CASES:
        print(row(case, max(case.runs * runs // 200, 1)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
