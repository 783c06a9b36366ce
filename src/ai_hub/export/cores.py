"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")


def cores(groups: Path = _GROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """The cores of its affinity, and no more than the quota of its control groups lets it use."""
    try:
        mine = len(os.sched_getaffinity(0))
    except AttributeError:  # no such thing outside Linux
        mine = os.cpu_count() or 1
    quota = min((_quota(folder) for folder in _folders(groups, own)), default=math.inf)
    return max(1, min(mine, math.ceil(quota) if quota < math.inf else mine))


def _folders(groups: Path, own: Path) -> list[Path]:
    """The folders of the groups that it is in, those above included."""
    found = [groups, groups / "cpu"]
    with suppress(OSError):
        for line in own.read_text("utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                top = groups / "cpu" if controllers else groups
                inner = PurePosixPath(path.lstrip("/"))
                found += [top / one for one in (inner, *inner.parents)]
    return found


def _quota(folder: Path) -> float:
    """The cores that a group may use at a time: cpu.max, or the two files that it was before."""
    with suppress(OSError, ValueError):
        limit, period = (folder / "cpu.max").read_text("utf-8").split()
        return math.inf if limit == "max" else int(limit) / int(period)
    with suppress(OSError, ValueError):
        limit = (folder / "cpu.cfs_quota_us").read_text("utf-8")
        period = (folder / "cpu.cfs_period_us").read_text("utf-8")
        return math.inf if int(limit) <= 0 else int(limit) / int(period)
    return math.inf
