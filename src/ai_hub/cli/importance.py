"""The command about what each feature is worth to a model: `importance`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.failure import Stop
from ai_hub.cli.finding import asked
from ai_hub.cli.options import Json, Url
from ai_hub.cli.output import counted, document, progress, say, table

if TYPE_CHECKING:
    from ai_hub.importance.values import FeatureImportance, Importance, Rise


def importance(
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            metavar="FILE",
            help="A fitted model, as joblib.dump wrote it. Loading it runs code that is in it.",
        ),
    ],
    feature_set: Annotated[
        str,
        typer.Option(
            "--set", metavar="NAME", help="The feature set that it was trained with; name@version."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="FILE",
            help="A training set that `ai-hub export` wrote, best of a time that the model was not "
            "trained on.",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="COLUMN",
            help="What the model forecasts; by default the only target or label of the data.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Draw the ranking to this PNG file."),
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", metavar="NUMBER", help="How many rows to look at.")
    ] = 5_000,
    seed: Annotated[
        int, typer.Option("--seed", metavar="NUMBER", help="By what they are drawn and shuffled.")
    ] = 1,
    trust: Annotated[bool, typer.Option("--trust", help="Load the model without asking.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Rank features by their worth to a model.

    Says what is read for each, the microseconds that leaving it out saves, and which could go.
    Needs the extra `importance` (pip install 'ai-hub-feature-store[importance]').

    Example: ai-hub importance --model model.joblib --set forecast_advanced@1 --data test.parquet
    """
    from ai_hub.importance.plot import check_plot_path, draw
    from ai_hub.importance.ranking import importance_of
    from ai_hub.importance.training_rows import opened

    if output is not None:
        check_plot_path(output)
    described = asked(url, lambda registry: registry.described(feature_set), "built-in")
    with opened(data) as training:
        training.check_is_of(described)
    loaded = _load(model, trust)
    with progress("Looking at the model", quiet=as_json, unit="per cent") as show:
        found = importance_of(
            loaded,
            data,
            described,
            target=target,
            rows=rows,
            seed=seed,
            progress=lambda fraction: show(fraction, round(100 * fraction)),
        )
    if output is not None:
        draw(found, output)
    if as_json:
        document(found.document())
    else:
        _report(found)
        if output is not None:
            say(f"{output}: the ranking as a picture", "green")


def _load(path: Path, trust: bool) -> Any:
    """The model, if whoever runs the command trusts its file."""
    from ai_hub.importance.model_file import load_model

    if not path.is_file():
        raise Stop(f"--model: got {str(path)!r}, expected a file that joblib wrote")
    if not trust:
        told = f"Loading {path} runs code that is in it: whoever wrote it can do what you can."
        if not sys.stdin.isatty():
            raise Stop(f"{told} If you trust it, say --trust.")
        if not typer.confirm(f"{told} Load it?", err=True):
            raise Stop(f"{path} was not loaded.")
    return load_model(path)


def _report(found: Importance) -> None:
    from ai_hub.importance.plot import in_words

    say(f"{found.model} on {found.feature_set}, missing values: {found.policy}", "bold")
    if found.error is None:
        say(f"{counted(found.rows, 'row')}, no target.")
    else:
        error = f"{found.error_name} {found.error:.4g}"
        say(f"{counted(found.rows, 'row')}, target {found.target}: {error}")
    how = f"Importance is {in_words(found)}"
    if found.why is None:
        say(f"{how} ({found.method}, {counted(found.explained_rows, 'row')}).")
    else:
        say(f"{how}: {found.why}.")
    names = ("", "feature", "importance", "share", "error when shuffled", "reads", "µs", "could go")
    table(names, map(_row, found.features))
    _say_what_could_go(found)


def _row(one: FeatureImportance) -> tuple[object, ...]:
    go = "yes" if one.could_go else ""
    if one.read_by and not one.could_go:
        go = f"read by {', '.join(one.read_by)}"
    return (
        one.rank,
        one.name,
        float(f"{one.importance:.3g}"),
        f"{100 * one.share:.1f} %",
        "-" if one.rise is None else _percent(one.rise),
        one.reads,
        None if one.microseconds is None else round(one.microseconds),
        go,
    )


def _say_what_could_go(found: Importance) -> None:
    if not found.could_go:
        say("None of them could go.")
        return
    say(f"Could go, together: {', '.join(found.could_go)}", "bold")
    if found.together is not None:
        say(f"Shuffled at once they change the error by {_percent(found.together)}.")
    elif found.error is None:
        say("Together they have less than 1 % of the importance.")
    for when, one in (("A vector now", found.vector), ("Without them", found.leaner)):
        say(f"{when}: {one.microseconds:,.0f} µs, reading {one.reads}")
    say("Train without them and compare the error before the set gets a new version.")


def _percent(rise: Rise) -> str:
    # No zero below zero.
    mean, low, high = (round(100 * one, 1) + 0.0 for one in (rise.mean, rise.low, rise.high))
    return f"{mean:+.1f} % ({low:+.1f} to {high:+.1f})"
