"""The import graph of a package, computed from its sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, frozenset[str]]


def import_graph(folder: Path) -> Graph:
    """Module -> modules of the same package that it imports, wherever the statement stands.

    Imports inside functions and those for types alone count like all others, and so does a text
    that names a module. Importing a name of a package counts as importing the package, unless the
    name is a module of it. A module of another package is imported with its package.
    """
    files = {_module(path, folder): path for path in folder.rglob("*.py")}
    return {
        module: frozenset(_imports(module, path, files) - {module})
        for module, path in files.items()
    }


def _module(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(module: str, path: Path, known: Mapping[str, Path]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in known:
                    found.add(name)
                elif node.module in known and not name.endswith("._core"):
                    found.add(node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]  # as in "module:function"
            if name in known and "." in name:
                found.add(name)
    return found | {package for name in found for package in _packages(name, module)}


def _packages(module: str, importer: str) -> Iterator[str]:
    """The packages around a module that are not around its importer, without the outermost one."""
    parts = module.split(".")
    for length in range(2, len(parts)):
        package = ".".join(parts[:length])
        if not f"{importer}.".startswith(f"{package}."):
            yield package


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules that import one another (strongly connected components of two and more)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found = []

    def visit(module: str) -> Iterator[str]:
        order[module] = low[module] = len(order)
        path.append(module)
        yield from sorted(graph[module])

    for start in sorted(graph):
        if start in order:
            continue
        waiting = [(start, visit(start))]
        while waiting:
            module, targets = waiting[-1]
            target = next(targets, None)
            if target is None:
                waiting.pop()
                if waiting:
                    parent = waiting[-1][0]
                    low[parent] = min(low[parent], low[module])
                if low[module] == order[module]:
                    group = path[path.index(module) :]
                    del path[-len(group) :]
                    if len(group) > 1:
                        found.append(sorted(group))
            elif target not in order:
                waiting.append((target, visit(target)))
            elif target in path:
                low[module] = min(low[module], order[target])
    return found
