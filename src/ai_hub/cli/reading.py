"""The options of commands that read files: made of the one definition that every door has.

What they are is known where columns of numbers are, which take long to import. So the commands are
registered without them, to be listed, and get them when one is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ai_hub.errors import InvalidInput

if TYPE_CHECKING:
    from ai_hub.intake.batch import BatchKind
    from ai_hub.intake.options import Option

Command = Callable[..., None]

_OWN_FLAGS = {"tenant_id": "--tenant"}


def without_options(command: Command) -> Command:
    """A command without its `**options`, to be listed."""
    return _with(command, {})


def with_options(command: Command, kind: BatchKind) -> Command:
    """A command whose `**options` are those of reading rows of a kind."""
    from ai_hub.intake.read_options import READ_OPTIONS

    return _with(command, {option.name: _annotation(option) for option in READ_OPTIONS[kind]})


def _with(command: Command, options: dict[str, Any]) -> Command:
    hints = get_type_hints(command, include_extras=True)
    own = [
        one.replace(annotation=hints[one.name])
        for one in inspect.signature(command).parameters.values()
        if one.kind is not one.VAR_KEYWORD
    ]
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in options.items()
    ]

    @wraps(command)
    def run(**given: object) -> None:
        command(**given)

    run.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, *more)}
    return run


def _annotation(option: Option) -> Any:
    flag = option.flag
    if option.kind is bool:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    kind: Any = list[option.kind] if option.repeatable else option.kind  # type: ignore[name-defined]
    said = option.help.removesuffix(".") + ("; repeatable." if option.repeatable else ".")
    return Annotated[kind | None, typer.Option(flag, metavar=option.metavar or None, help=said)]


def with_flags(error: InvalidInput, kind: BatchKind) -> InvalidInput:
    """An error about rows or options in the words of a command line."""
    from ai_hub.intake.dialect.column_names import options_for
    from ai_hub.intake.read_options import READ_OPTIONS

    flags = {option.name: option.flag for option in READ_OPTIONS[kind]} | _OWN_FLAGS
    named = [flags[name] for name in options_for(error.field) if name in flags]
    if named and " column " in f"{error.expected} ":
        hint = f"{error.hint} Name it with {' or '.join(named)}.".strip()
        return InvalidInput(error.field, error.value, error.expected, hint)
    field = flags.get(error.field, error.field)
    return InvalidInput(field, error.value, error.expected, error.hint)
