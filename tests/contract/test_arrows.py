"""What may import what, read from the syntax of every module, imports inside functions included."""

import ast
import graphlib

import pytest

from mlpcw.study.records.store import repository_root

PACKAGE = repository_root() / "mlpcw"
STUDY = "mlpcw.study."
LIBRARY = "library"

MAY_IMPORT = {
    LIBRARY: {LIBRARY},
    "records": {"records"},
    "original": {"original", "records", LIBRARY},
    "runs": {"runs", "original", "records", LIBRARY},
    "stats": {"stats", "original", "records", LIBRARY},
    "show": {"show", "original", "records", LIBRARY},
    "chapters": {"chapters", "show", "stats", "original", "records", LIBRARY},
    "pages": {"pages", "chapters", "show", "stats", "runs", "original", "records", LIBRARY},
}
"""Room to the rooms that it imports from; the command line may import from all."""

FOREIGN = {"matplotlib": {"show", "pages"}, "IPython": {"show"}, "myst_nb": {"show"}}
"""Library of others to the rooms that import it."""

OF_THE_LIBRARY = {"mlpcw.checks"}
"""All that records import of the library."""

STOPGAPS = {"mlpcw.study.records.arms", "mlpcw.study.records.store"}
"""Modules that import from above, until the store takes arms and freshness as arguments."""


def room(module):
    """The room of a module of the project: "library", or the name of a folder of `study`."""
    return module.removeprefix(STUDY).split(".")[0] if module.startswith(STUDY) else LIBRARY


def at_run_time(node):
    """The node and all below it, without what only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from at_run_time(child)


def imports(source):
    """Full names of all that a module imports; there are no relative imports in the project."""
    for node in at_run_time(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_imported(path):
    """Modules of the project, and top-level names of others, that a module imports."""
    for name in imports(path.read_text("utf-8")):
        if name.split(".")[0] != "mlpcw":
            yield name.split(".")[0]
        else:  # a module, or something defined in one
            yield name if name in PATHS else name.rpartition(".")[0]


def name_of(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
IMPORTS = {name: set(modules_imported(path)) for name, path in PATHS.items()}
ROOMS = {name: room(name) for name in PATHS if name not in ("mlpcw.study", "mlpcw.__main__")}


def wrong(name):
    """What a module imports and may not."""
    for imported in sorted(IMPORTS[name] - {"mlpcw", "mlpcw.study"}):
        if not imported.startswith("mlpcw"):
            allowed = ROOMS[name] in FOREIGN.get(imported, ROOMS.values())
        elif ROOMS[name] == "records" and room(imported) == LIBRARY:
            allowed = imported in OF_THE_LIBRARY
        else:
            allowed = room(imported) in MAY_IMPORT[ROOMS[name]]
        if not allowed:
            yield imported


@pytest.mark.parametrize("name", sorted(set(ROOMS) - STOPGAPS))
def test_a_module_imports_only_from_rooms_that_it_may(name):
    assert list(wrong(name)) == []


def test_no_circle():
    names = set(PATHS) - STOPGAPS
    graph = {name: IMPORTS[name] & names for name in names}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_only_the_user_imports_optimisers_in_the_library():
    library = {name for name, place in ROOMS.items() if place == LIBRARY}
    assert [name for name in library if "mlpcw.optimisers" in IMPORTS[name]] == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b", ["a.b"]),
        ("from a import b, c", ["a.b", "a.c"]),
        ("def f():\n    import a", ["a"]),
        ("if TYPE_CHECKING:\n    import a\nimport b", ["b"]),
    ],
)
def test_imports_are_read(source, names):
    assert list(imports(source)) == names


@pytest.mark.parametrize(
    ("name", "imported"),
    [
        ("mlpcw.layers", "mlpcw.study.records.arms"),
        ("mlpcw.study.records.results", "mlpcw.errors"),
        ("mlpcw.study.chapters.part1", "matplotlib"),
        ("mlpcw.study.show.curves", "mlpcw.study.chapters.part1"),
    ],
)
def test_an_arrow_that_points_up_is_told(name, imported, monkeypatch):
    monkeypatch.setitem(IMPORTS, name, IMPORTS[name] | {imported})
    assert list(wrong(name)) == [imported]
