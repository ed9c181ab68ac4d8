"""Data flows one way: no module imports one that imports it, and no room one further down."""

from __future__ import annotations

from pathlib import Path

import narfast
from imports import circles, import_graph
from narfast.sources.registry import SOURCES

# From what knows nothing to what knows everything. A room is a folder or a module of the package.
HELPERS = "_version _data errors _optional _files _documents _settings _tables _printing"
CONCEPTS = (
    "operators attributes hyperparameters graph labels motifs alignment blocks explain index "
    "encoder_config structural_features"
)
STAGES = (
    "drawing taxonomy search_spaces storage sources reading nn encoder zoo comparison "
    "block_search evaluation training bulk retrieval situating cli frontends nas pretrain __main__"
)
ROOMS = f"{HELPERS} {CONCEPTS} {STAGES}".split()


def package() -> dict[str, frozenset[str]]:
    """The import graph; what the registry imports by name counts as imported by the loader."""
    graph = dict(import_graph(Path(narfast.__file__).parent))
    readers = {f"narfast.{kind.module}" for kind in SOURCES}
    assert readers <= graph.keys()
    graph["narfast.sources.loader"] |= readers
    return graph


def test_circles_are_found() -> None:
    planted = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"f"}, "f": {"e"}}
    graph = {module: frozenset(targets) for module, targets in planted.items()}
    assert circles(graph) == [["a", "b", "c"], ["e", "f"]]
    assert circles({"a": frozenset({"b"}), "b": frozenset()}) == []


def test_late_imports_and_those_for_types_count(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text("def f():\n    from p.b import x\n")
    (folder / "b.py").write_text("if TYPE_CHECKING:\n    from p import a\n")
    assert circles(import_graph(folder)) == [["p.a", "p.b"]]
    (folder / "b.py").write_text("loader = 'p.a:f'\n")
    assert circles(import_graph(folder)) == [["p.a", "p.b"]]


def test_a_module_is_imported_with_its_package(tmp_path: Path) -> None:
    for name in ("p", "p/q"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "p/q/__init__.py").write_text("from p.q import c\n")
    (tmp_path / "p/q/c.py").write_text("import p.a\n")
    (tmp_path / "p/q/d.py").write_text("")
    (tmp_path / "p/a.py").write_text("import p.q.d\n")
    assert circles(import_graph(tmp_path / "p")) == [["p.a", "p.q", "p.q.c"]]


def test_no_module_imports_what_imports_it() -> None:
    assert circles(package()) == []


def test_no_room_imports_from_one_further_down() -> None:
    graph = package()
    rooms = {module: (*module.split("."), "")[1] for module in graph if module != "narfast"}
    assert sorted(set(rooms.values())) == sorted(ROOMS), "a room that this test does not know"
    upwards = [
        f"{module} imports {target}"
        for module, targets in graph.items()
        if module != "narfast"
        for target in targets
        if target == "narfast" or ROOMS.index(rooms[module]) < ROOMS.index(rooms[target])
    ]
    assert upwards == []
