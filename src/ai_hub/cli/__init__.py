"""The command `ai-hub`; what a command needs beyond Typer and Rich it imports when it runs."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    import logging
    import sys
    from io import TextIOWrapper

    from ai_hub.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        # Ids may have any character, and a terminal may not: show an escape, never fail.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for name in ("ai_hub.export", "ai_hub.serving.reader", "ai_hub.serving.writer"):
        # What fails there a command says itself; a server's log has it all the same.
        logging.getLogger(name).addHandler(logging.NullHandler())
    app(prog_name="ai-hub")
