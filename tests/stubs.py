"""The stubs of the blocking classes, made of the source of the asynchronous ones.

`python tests/stubs.py` writes them anew, after a public method was added or changed.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

from ai_hub.blocking import _OWN, blocking_doc

SOURCE = Path(__file__).parents[1] / "src"
STUBS = {
    "ai_hub/sync.pyi": ("ai_hub.feature_store", "FeatureStore", "FeatureStore"),
    "ai_hub/client/waiting.pyi": ("ai_hub.client.asynchronous", "AsyncClient", "Client"),
}
"""Of each stub the module and the name of the asynchronous class, and the name of the blocking."""


class _Names:
    """The names that a stub imports, from where the modules of the source have them."""

    def __init__(self) -> None:
        self.imports: dict[str, str] = {}

    def of(self, module: str, node: ast.expr) -> str:
        """An annotation or default of a module, as text; what it names is imported."""
        scope = _scope(module)
        renamed = {}
        for one in ast.walk(node):
            if not isinstance(one, ast.Name) or hasattr(builtins, one.id):
                continue
            home, name = scope[one.id]
            told = name.lstrip("_")
            if name.startswith("_"):  # of this module alone: another may have one of that name
                told = f"{home.rpartition('.')[2].capitalize()}{told}"
            renamed[one.id] = told
            self.imports[told] = (
                f"import {home} as {told}"
                if not name
                else f"from {home} import {name}" + ("" if told == name else f" as {told}")
            )
        return ast.unparse(_Renamed(renamed).visit(ast.parse(ast.unparse(node), mode="eval")))


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)


def _scope(module: str) -> dict[str, tuple[str, str]]:
    """Each name of a module, with the module and name that it has where it is defined."""
    tree = _tree(module)
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = (node.module, alias.name)
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = (module, statement.targets[0].id)
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = (module, statement.target.id)
        elif isinstance(statement, ast.ClassDef | ast.FunctionDef):
            found[statement.name] = (module, statement.name)
    return found


def _tree(module: str) -> ast.Module:
    path = importlib.import_module(module).__file__
    assert path is not None
    return ast.parse(Path(path).read_text("utf-8"))


def stub(module: str, name: str, called: str) -> str:
    """The stub of the blocking class `called` of an asynchronous class."""
    asynchronous = getattr(importlib.import_module(module), name)
    names, body, seen = _Names(), list[str](), set[str]()
    for one in inspect.getmro(asynchronous)[:-1]:
        (definition,) = (
            node
            for node in _tree(one.__module__).body
            if isinstance(node, ast.ClassDef) and node.name == one.__name__
        )
        for function in definition.body:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                if function.name in seen:
                    continue
                seen.add(function.name)
                if function.name == "__init__":
                    body += _attributes(names, one.__module__, function)
                    if one is asynchronous:
                        body += _function(names, one.__module__, function, name, called)
                elif not function.name.startswith("_") and function.name not in _OWN:
                    body += _function(names, one.__module__, function, name, called)
    own = f"""
    def __enter__(self) -> {called}:
        \"\"\"Open it, also once more.\"\"\"

    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None:
        \"\"\"Finish what is under way, then let go of everything; also what `with` ends with.\"\"\"
"""
    doc = blocking_doc(asynchronous)
    return (
        "# Made by `python tests/stubs.py` of the asynchronous class: change that.\n"
        + "".join(f"{line}\n" for line in sorted(set(names.imports.values())))
        + f"\nclass {called}:\n{_doc(doc, 4)}"
        + "".join(body)
        + own
    )


def _attributes(names: _Names, module: str, function: ast.FunctionDef) -> Iterator[str]:
    """What `__init__` keeps of its arguments under their names."""
    typed = {one.arg: one.annotation for one in (*function.args.args, *function.args.kwonlyargs)}
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.targets[0].attr == node.value.id
            and (annotation := typed.get(node.value.id)) is not None
        ):
            yield f"    {node.value.id}: {names.of(module, annotation)}\n"


def _function(
    names: _Names,
    module: str,
    function: ast.FunctionDef | ast.AsyncFunctionDef,
    name: str,
    called: str,
) -> Iterator[str]:
    """One method, which does not wait."""
    for decorator in function.decorator_list:
        yield f"\n    @{ast.unparse(decorator)}"
    given = function.args
    parameters = []
    firsts = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(firsts) - len(given.defaults)) + [*given.defaults]
    for one, default in zip(firsts, defaults, strict=True):
        parameters.append(_parameter(names, module, one, default))
    if given.vararg is not None:
        parameters.append("*" + _parameter(names, module, given.vararg, None))
    elif given.kwonlyargs:
        parameters.append("*")
    for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        parameters.append(_parameter(names, module, one, default))
    if given.kwarg is not None:
        parameters.append("**" + _parameter(names, module, given.kwarg, None))
    assert function.returns is not None
    returns = names.of(module, function.returns)
    if returns == name:
        returns = called
        names.imports.pop(name, None)
    doc = ast.get_docstring(function)
    listed = "".join(f"\n        {one}," for one in parameters)
    yield f"\n    def {function.name}({listed}\n    ) -> {returns}:"
    yield f"\n{_doc(doc, 8)}" if doc else " ...\n"


def _parameter(names: _Names, module: str, one: ast.arg, default: ast.expr | None) -> str:
    told = one.arg
    if one.annotation is not None:
        told += f": {names.of(module, one.annotation)}"
    if default is not None:
        plain = isinstance(default, ast.Constant) or ast.unparse(default) == "()"
        told += f" = {ast.unparse(default) if plain else '...'}"
    return told


def _doc(doc: str | None, indent: int) -> str:
    doc = (doc or "").replace("async with", "with")
    return textwrap.indent(f'"""{doc}"""\n', " " * indent, lambda line: line != "\n")


if __name__ == "__main__":
    for path, of in STUBS.items():
        (SOURCE / path).write_text(stub(*of), "utf-8")
        print(path)
