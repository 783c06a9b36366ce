"""What is shown in place of a page."""

from __future__ import annotations

from typing import Any

from ai_hub.page.render import render

_NOBODY: dict[str, Any] = {"pages": (), "tenant": None, "tenants": [], "signed_in": False}


def sign_in_page(then: str, problem: str | None, auth: str) -> bytes:
    """The form that takes a key; `then` is where it leads, `problem` what was wrong with one."""
    return render("sign-in", **_NOBODY, title="Sign in", then=then, problem=problem, auth=auth)


def problem_page(problem: str, may_sign_out: bool) -> bytes:
    """What is wrong, in a sentence; with `may_sign_out`, of somebody who signed in."""
    names = _NOBODY | {"signed_in": may_sign_out}
    return render("problem", **names, title="That cannot be shown", problem=problem, who="")
