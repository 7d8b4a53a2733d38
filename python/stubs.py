"""Makes `kithdb/aio.pyi`, the types of the asynchronous classes, of the sources of the others: `python stubs.py`."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from kithdb import database

# Of the module as it is: its stub tells less.
aio: Any = importlib.import_module("kithdb.aio")

_HERE = Path(__file__).parent

#: The classes that have an asynchronous one, and what each is called.
NAMES = {kind.__name__: twin.__name__ for kind, twin in aio._TWINS.items()}

#: Methods that every class has beside those that are made, as they are written.
OWN = {
    "Database": """
        async def __aenter__(self) -> AsyncDatabase: ...
        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, at: Any
        ) -> None: ...
        def __getitem__(self, name: str) -> AsyncCollection: ...
    """,
    "Transaction": """
        async def __aenter__(self) -> AsyncTransaction: ...
        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, at: Any
        ) -> None: ...
    """,
    "Hits": """
        @overload
        def __getitem__(self, at: int) -> Hit: ...
        @overload
        def __getitem__(self, at: slice) -> AsyncHits: ...
        def __len__(self) -> int: ...
        def _repr_html_(self) -> str: ...
    """,
    "Answering": """
        async def __anext__(self) -> str: ...
        async def __aenter__(self) -> AsyncAnswering: ...
        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, at: Any
        ) -> None: ...
    """,
}

#: What classes are beside that.
BASES = {"Hits": "Sequence[Hit]", "Answering": "AsyncIterator[str]"}


class _Renamed(ast.NodeTransformer):
    """The asynchronous class, where another is told."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = NAMES.get(node.id, node.id)
        return node


def _stub(node: ast.FunctionDef, way: str) -> ast.stmt:
    node.body = [ast.Expr(ast.Constant(...))]
    node.returns = _Renamed().visit(node.returns) if node.returns else None
    if way == "iterated" and isinstance(node.returns, ast.Subscript):
        node.returns.value = ast.Name("AsyncIterator")
    if way != "awaited":
        return node
    fields: dict[str, Any] = {name: getattr(node, name, None) for name in ast.AsyncFunctionDef._fields}
    return ast.copy_location(ast.AsyncFunctionDef(**fields), node)


def _nodes(kind: type) -> list[ast.stmt]:
    """What stands in the bodies of a class and of those that it inherits from."""
    own = [one for one in reversed(kind.__mro__) if one.__module__.startswith("kithdb")]
    found = []
    for one in own:
        tree = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
        assert isinstance(tree, ast.ClassDef)
        found += tree.body
    return found


def _had(kind: type, name: str) -> ast.stmt:
    """What an object has, by the annotations of what is assigned when it is made."""
    init = ast.parse(textwrap.dedent(inspect.getsource(kind.__init__))).body[0]  # type: ignore[misc]
    assert isinstance(init, ast.FunctionDef)
    given = {one.arg: one.annotation for one in init.args.args}
    for node in ast.walk(init):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Attribute) and target.attr == name:
            value = getattr(node, "value", None)
            told: Any = given.get(value.id) if isinstance(value, ast.Name) else None
            told = node.annotation if isinstance(node, ast.AnnAssign) else told
            return ast.parse(f"@property\ndef {name}(self) -> {ast.unparse(told)}: ...").body[0]
    raise LookupError(f"{kind.__name__} has no {name}")


def _class(kind: type) -> ast.ClassDef:
    iterated, kept, attributes = aio.PARTS[kind]
    body: list[ast.stmt] = [_had(kind, name) for name in sorted(attributes)]
    for node in _nodes(kind):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            marks = {ast.unparse(one) for one in node.decorator_list}
            is_kept = node.name in kept or "property" in marks
            way = "iterated" if node.name in iterated else "as it is" if is_kept else "awaited"
            is_overloaded = "overload" not in marks and body and getattr(body[-1], "name", None) == node.name
            if "abstractmethod" not in marks and not is_overloaded:
                body.append(_stub(node, way))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == "upsert":
            body.append(node)
    body += ast.parse(textwrap.dedent(OWN.get(kind.__name__, ""))).body
    named = BASES.get(kind.__name__)
    bases: list[ast.expr] = [] if named is None else [ast.parse(named, mode="eval").body]
    extra: dict[str, Any] = {"type_params": []} if sys.version_info >= (3, 12) else {}
    return ast.ClassDef(NAMES[kind.__name__], bases, [], body or [ast.Pass()], [], **extra)


def _imports(used: set[str]) -> list[str]:
    """Where the modules of the classes have these names from, or have them themselves."""
    found: dict[str, str] = {}
    for module in {sys.modules[kind.__module__] for one in aio.PARTS for kind in one.__mro__[:-1]}:
        if not module.__name__.startswith("kithdb"):
            continue
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.ImportFrom):
                found |= {one.asname or one.name: f"from {node.module} import {one.name}" for one in node.names}
            if isinstance(node, ast.Import):
                found |= {
                    one.asname or one.name: f"import {one.name}" + (f" as {one.asname}" if one.asname else "")
                    for one in node.names
                }
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = f"from {module.__name__} import {node.target.id}"
            if isinstance(node, ast.ClassDef):
                found[node.name] = f"from {module.__name__} import {node.name}"
    found |= {name: f"from collections.abc import {name}" for name in ("AsyncIterator", "Sequence")}
    return sorted({found[name] for name in used if name in found})


def made() -> str:
    """The text of the stub, before it is formatted."""
    opened = ast.parse(inspect.getsource(database.open)).body[0]
    assert isinstance(opened, ast.FunctionDef)
    opened.name = "aopen"
    classes = [_class(kind) for kind in aio.PARTS]
    tree = ast.Module([*classes, _stub(opened, "awaited")], [])
    text = ast.unparse(ast.fix_missing_locations(tree))
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    head = [
        '# mypy: disable-error-code="overload-overlap"',
        "# Made by stubs.py of the classes of the same names without Async: do not edit.",
        f"__all__ = {aio.__all__!r}",
    ]
    return "\n".join([*_imports(used), *head, text, ""])


def formatted() -> str:
    """The text of the stub, as it is kept."""
    text = made()
    settings = ["--config", str(_HERE / "pyproject.toml"), "--stdin-filename", "aio.pyi", "-"]
    for command in (["check", "--fix-only", "--quiet", "--select", "I"], ["format", "--quiet"]):
        program = [str(Path(sys.executable).parent / "ruff"), *command, *settings]
        # Here, so that `kithdb` is known for our own.
        done = subprocess.run(program, input=text, capture_output=True, text=True, check=True, cwd=_HERE)
        text = done.stdout
    return text


if __name__ == "__main__":
    (_HERE / "kithdb" / "aio.pyi").write_text(formatted())
