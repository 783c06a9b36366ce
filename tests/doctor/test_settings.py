"""Lines about settings, provoked one by one and mended by what they advise."""

from __future__ import annotations

import pytest

from doctor.conftest import Practice

WRONG = {
    "workers": ({"workers": 3}, "fault", "AI_HUB_WORKERS is 3"),
    "timeouts": ({"view_timeout": "2s"}, "warning", "AI_HUB_VIEW_TIMEOUT (2s) is over"),
    "cache_ttl": ({"granularity": "1h"}, "warning", "GRANULARITY 3600 s"),
    "access": ({"host": "0.0.0.0"}, "fault", "the server does not start"),
    "hosts": ({"allowed_hosts": "*"}, "warning", "ALLOWED_HOSTS has *"),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_contradict_each_other(practice: Practice, name: str) -> None:
    practice.fine(name)
    settings, state, said = WRONG[name]
    practice.set(**settings)
    practice.mend(practice.wrong(name, state, said))
    practice.fine(name)


TIMEOUTS = (
    {"cache_timeout": "3s"},
    {"statement_timeout": "900ms"},
    {"statement_timeout": "300ms", "patience": "200ms", "view_timeout": "250ms"},
)


@pytest.mark.parametrize("settings", TIMEOUTS)
def test_limits_inside_each_other(practice: Practice, settings: dict[str, str]) -> None:
    practice.set(**settings)
    for _ in range(3):
        wrong = [one for one in practice.look()["timeouts"] if one["state"] != "ok"]
        if not wrong:
            break
        practice.mend(wrong[0]["command"])
    practice.fine("timeouts")


def test_other_machines_without_keys(practice: Practice) -> None:
    practice.set(host="0.0.0.0", insecure=1)
    practice.mend(practice.wrong("access", "warning", "all may do all"))
    practice.fine("access")
