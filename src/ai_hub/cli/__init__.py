"""The command `ai-hub`; what a command needs beyond Typer and Rich it imports when it runs."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    import logging
    import sys
    from io import TextIOWrapper

    from ai_hub.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        # An id may hold characters that a terminal cannot show: print an escape, never fail.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    serving = ("ai_hub.serving.first_fills", "ai_hub.serving.reader", "ai_hub.serving.writer")
    for name in ("ai_hub.export", *serving):
        # A command reports what fails there itself; a server still logs it.
        logging.getLogger(name).addHandler(logging.NullHandler())
    app(prog_name="ai-hub")
