"""What is shown in place of a page."""

from __future__ import annotations

import time
from typing import Any

from ai_hub.definitions.values import iso
from ai_hub.page.render import render

_NOBODY: dict[str, Any] = {
    "pages": (), "tenant": None, "tenants": [], "signed_in": False, "away": None,
}  # fmt: skip


def sign_in_page(then: str, problem: str | None, auth: str) -> bytes:
    """The form that takes a key; `then` is where it leads, `problem` what was wrong with one."""
    return render("sign-in", **_NOBODY, title="Sign in", then=then, problem=problem, auth=auth)


def problem_page(problem: str, may_sign_out: bool, again: str | None) -> bytes:
    """What is wrong, in a sentence; with `may_sign_out`, of somebody who signed in. `again` is the
    page that may be there a moment later."""
    names = _NOBODY | {"signed_in": may_sign_out, "again": again, "at": iso(time.time_ns() // 1000)}
    return render("problem", **names, title="That cannot be shown", problem=problem, who="")
