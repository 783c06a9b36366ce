"""The HTTP door: bytes in, one call to the front, bytes out."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ai_hub import logs
from ai_hub.allocation import keep_little
from ai_hub.config import Settings
from ai_hub.definitions.values import Duration


def serve(
    settings: Settings,
    ready: Callable[[], None] | None = None,
    log_to_stderr: bool = False,
    maintain: Duration | None = None,
) -> None:
    """Serve until a signal, from one process or several; `ready` once it listens.

    The log goes to standard output. `maintain`: also keep the database in shape, every so often.
    Raises ConfigError for an address that cannot be listened on and for settings that do not allow
    several workers, StoreError when the database cannot be opened, KeyboardInterrupt after SIGINT.
    """
    # Before what is imported here: Arrow looks once where its memory comes from.
    keep_little()
    from ai_hub.http.access import check_auth
    from ai_hub.http.server import serve_alone

    check_auth(settings)
    logs.configure(settings.log_level, sys.stderr if log_to_stderr else sys.stdout)
    if settings.workers == 1:
        serve_alone(settings, ready, maintain)
        return
    # Imported here for a quicker start: one process needs none of what several do.
    from ai_hub.http.workers import supervise

    supervise(settings, ready, log_to_stderr, maintain)
