"""The pages of the documentation: their examples, run as a reader would run them.

Of a page, these blocks are run in order, in a directory of its own:

- `python`: in one namespace for the page; `await` may stand at the top level;
- `bash`: as one script, of which `export` lasts; `console`: each command after `$ `, with its
  output below it;
- `sql`: by psql in the database of `AI_HUB_DATABASE_URL` (`sql superuser`: by who may do all);
- `<!-- setup: ... -->`: Python that prepares what the page takes for granted.

A `text` or `json` block just below a `python`, `bash` or `sql` block is what that prints. `...`
stands for what changes from run to run. `ai-hub serve` starts a server that lives as long as the
page; `make`, `docker`, `sudo` and the activation of an environment are not run.

`<!-- server: timescaledb plain -->` says on which kinds of PostgreSQL server what follows is run:
once on each, apart from the others; `none`, and before the first such comment, without a server.
`localhost:5432` is the server of the run, `sudo -u postgres` its superuser (as who psql runs
where it is not told), and in a setup `server` is the server itself.

`<!-- environment: mlflow -->` says that the page is run in an environment of its own, that `make`
makes of an extra: see `environments.py`.

`python tests/docs_pages.py README.md docs/*.md` writes the outputs anew; with `--check` first it
says where they are not true.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import environments
import servers
from docs_blocks import Block, blocks, commands, environment, pages, runs
from docs_outputs import ANY, Layout, same_json, same_text

PORT = 8003
_WIDTH = 100
POSTGRESQL = "localhost:5432"
_SUPERUSER = "sudo -u postgres "
# So many show nothing but this that a process for each would take a minute.
_HELP = re.compile(r"ai-hub(?: [a-z-]+)* --help")
_NOT_RUN = re.compile(r"(make|source|\.|docker|sudo(?! -u)) ")
_EXPORT = re.compile(r"export (\w+)=(.*)")
_MADE = {
    "pg_database": 'DROP DATABASE "{}" WITH (FORCE)',
    "pg_roles": 'DROP ROLE "{}"',
}
"""What a page makes on a server, databases first: roles own them."""
_VOLATILE = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"
)


@dataclass(frozen=True)
class Shown:
    """An output in a page, and what came instead."""

    block: Block
    expected: str
    actual: str
    start: int
    end: int

    @property
    def is_true(self) -> bool:
        """Whether the page shows what came."""
        if self.block.lang == "json":
            return same_json(json.loads(self.expected), json.loads(self.actual))
        return same_text(self.expected, self.actual)


class Reader:
    """Somebody who does what a page says, in `home`; use it as a context manager.

    With the `kind` of a server it is what the page says for that one. What this makes there of
    databases and roles goes at the end.
    """

    def __init__(self, home: Path, kind: servers.Kind | None = None) -> None:
        self._home = home
        self._kind = kind
        self._there_before: dict[str, set[Any]] = {}
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._server: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])
        folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
        self._postgres = ""
        beside = {}
        if kind is not None:
            database = self._names["server"] = servers.server(kind)
            folders.insert(0, str(database.programs))
            self._postgres = f"127.0.0.1:{database.port}"
            beside = {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(database.port),
                "PGUSER": "ai_hub",
                "PGDATABASE": "postgres",
                "PSQLRC": os.devnull,
            }
        self._environment = {
            "PATH": os.pathsep.join(folders),
            "AI_HUB_PORT": self._port,
            "COLUMNS": str(_WIDTH),
            "LINES": "50",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "NO_PROXY": "*",
            "OMP_NUM_THREADS": "1",  # threads that wait for a busy core are slower than none
            **beside,
        }
        self._before: dict[str, str] = {}
        self._directory = Path()
        self._loop = asyncio.Runner()

    def __enter__(self) -> Reader:
        self._before, self._directory = dict(os.environ), Path.cwd()
        for name in [name for name in os.environ if name.startswith(("AI_HUB_", "PG"))]:
            del os.environ[name]
        os.environ.update(self._environment)
        os.chdir(self._home)
        if self._kind is not None:
            self._there_before = {table: self._made(table) for table in _MADE}
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.close()
        if self._server is not None:
            self._server.terminate()
            self._server.wait(timeout=120)
        for table, before in self._there_before.items():
            for name in self._made(table) - before:
                quoted = name.replace('"', '""')
                self._names["server"].sql(_MADE[table].format(quoted))
        os.chdir(self._directory)
        os.environ.clear()
        os.environ.update(self._before)

    def follow(self, page: str) -> Iterator[Shown]:
        """Run the blocks of a page; every output that it shows."""
        found = [block for block in blocks(page) if self._kind in block.on]
        for block, below in zip(found, [*found[1:], None], strict=True):
            if block.lang in ("python", "setup"):
                actual = self._python(block)
            elif block.lang == "bash":
                actual = self._bash(block)
            elif block.lang == "sql":
                actual = self._sql(block)
            elif block.lang == "console":
                yield from self._console(block)
                continue
            else:
                continue
            if below is not None and below.lang in ("text", "json"):
                between = page[block.end : below.start].strip("`\n")
                if between in ("text", "json"):
                    yield Shown(below, below.text, actual, below.start, below.end)

    def _python(self, block: Block) -> str:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        source = "\n" * (block.line - 1) + self._here(block.text)
        code = compile(source, f"<{block.lang}, line {block.line}>", "exec", flags)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            if code.co_flags & inspect.CO_COROUTINE:
                self._loop.run(eval(code, self._names))
            else:
                exec(code, self._names)
        return self._there(printed.getvalue())

    def _bash(self, block: Block) -> str:
        lines = block.text.replace("\\\n", " ").splitlines()
        if any(line.startswith("ai-hub serve") for line in lines):
            assert len(lines) == 1, f"line {block.line}: `ai-hub serve` stands alone"
            self._serve(lines[0])
            return ""
        script = "\n".join(line for line in lines if not _NOT_RUN.match(line))
        status, output = self._run(f"set -eu\n{script}", subprocess.PIPE)
        assert status == 0, f"line {block.line}: exit code {status}"
        for line in lines:
            if exported := _EXPORT.match(line):
                name, value = exported.groups()
                os.environ[name] = os.path.expandvars("".join(shlex.split(self._here(value))))
        return output

    def _sql(self, block: Block) -> str:
        url = os.environ["AI_HUB_DATABASE_URL"]
        place = unquote(urlsplit(url).path[1:]) if block.how == "superuser" else url
        done = subprocess.run(
            ["psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={place}"],
            input=block.text, capture_output=True, timeout=600, text=True, encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == 0, f"line {block.line}: {done.stderr}"
        return done.stdout

    def _console(self, block: Block) -> Iterator[Shown]:
        for command, start, end in commands(block):
            status, output = self._run(command, subprocess.STDOUT)
            expected = block.text[start:end]
            assert status == 0 or expected, f"{command}: exit code {status}: {output}"
            yield Shown(block, expected, output, block.start + start, block.start + end)

    def _run(self, command: str, stderr: int) -> tuple[int, str]:
        if _HELP.fullmatch(command.strip()):
            return _help(shlex.split(command)[1:])
        done = subprocess.run(
            ["bash", "-c", self._here(command)],
            stdout=subprocess.PIPE, stderr=stderr, timeout=600, text=True, encoding="utf-8",
        )  # fmt: skip
        if done.returncode and done.stderr:
            print(done.stdout, done.stderr)
        return done.returncode, self._there(done.stdout)

    def _serve(self, command: str) -> None:
        self._server = subprocess.Popen(
            shlex.split(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health").close()
                return
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                assert self._server.poll() is None, "the server ended"
                time.sleep(0.05)

    def _made(self, table: str) -> set[Any]:
        """The names of the databases or roles of the server."""
        column = "datname" if table == "pg_database" else "rolname"
        return {name for (name,) in self._names["server"].sql(f"SELECT {column} FROM {table}")}

    def _here(self, text: str) -> str:
        text = text.replace(f":{PORT}", f":{self._port}")
        if self._postgres:
            text = text.replace(POSTGRESQL, self._postgres).replace(_SUPERUSER, "")
        return text

    def _there(self, text: str) -> str:
        text = text.replace(f":{self._port}", f":{PORT}")
        return text.replace(self._postgres, POSTGRESQL) if self._postgres else text


def _help(words: list[str]) -> tuple[int, str]:
    """The exit code of a command that only tells of itself, and what it prints."""
    from ai_hub.cli.app import app

    code: object = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            app(words, prog_name="ai-hub")
        except SystemExit as end:
            code = end.code
    return int(bool(code)), printed.getvalue()


def update(page: Path) -> int:
    """Write the outputs of a page anew where they are not true; how many."""
    text = page.read_text("utf-8")
    wrong: dict[int, tuple[Shown, str]] = {}
    for kind in runs(text):
        if kind is not None and (reason := servers.absent(kind)):
            print(f"{page}, not on {kind}: {reason}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as home, Reader(Path(home), kind) as reader:
            for shown in reader.follow(text):
                if not shown.is_true:
                    actual = shown.actual.replace(os.path.realpath(home), ANY)
                    wrong.setdefault(shown.start, (shown, actual))
    for _, (shown, actual) in sorted(wrong.items(), reverse=True):
        actual = _VOLATILE.sub(ANY, actual)
        today = time.strftime(r"%Y-%m-%d[T ]\d\d:\d\d:\d\dZ", time.gmtime())
        actual = re.sub(today, lambda found: ANY.ljust(len(found.group())), actual)
        if shown.block.lang == "json":
            actual = Layout().write(json.loads(actual))
        lines = "".join(f"{line.rstrip()}\n" for line in actual.rstrip().splitlines())
        text = text[: shown.start] + lines + text[shown.end :]
    page.write_text(text, "utf-8")
    return len(wrong)


def check(page: Path) -> int:
    """Say which outputs of a page are not true, but for those on servers; how many."""
    wrong = 0
    with tempfile.TemporaryDirectory() as home, Reader(Path(home)) as reader:
        for shown in reader.follow(page.read_text("utf-8")):
            if not shown.is_true:
                wrong += 1
                print(f"line {shown.block.line} shows\n{shown.expected}\nnot\n{shown.actual}")
    return wrong


def _main(names: list[str]) -> int:
    if names[:1] == ["--check"]:
        return sum(check(Path(name).resolve()) for name in names[1:])
    for name in names or map(str, pages()):
        path = Path(name).resolve()
        own = environment(path.read_text("utf-8"))
        if own is None or environments.folder(own) == Path(sys.prefix):
            print(name, update(path))
        else:
            print(f"{name}: {environments.python(own)} has what it needs")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(_main(sys.argv[1:]))
    finally:
        servers.stop_all()
