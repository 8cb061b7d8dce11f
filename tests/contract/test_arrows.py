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
"""Room to the rooms that it imports from."""

COMMAND_LINE = {"mlpcw.__main__", "mlpcw.command_line"}
"""It may import from all rooms."""

FOREIGN = {"matplotlib": {"show", "pages"}, "IPython": {"show"}, "myst_nb": {"show"}}
"""Other projects that only some rooms import."""


def room(module):
    return module.removeprefix(STUDY).split(".")[0] if module.startswith(STUDY) else LIBRARY


def at_run_time(node):
    """The node and all below it, without what only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from at_run_time(child)


def imports(source):
    """Full names of all that a module imports; the project has no relative imports."""
    for node in at_run_time(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).split(".__init__")[0]


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
IMPORTS = {
    name: {
        # the module where the name is that of something defined in one
        imported if imported in PATHS or "mlpcw." not in imported else imported.rpartition(".")[0]
        for imported in imports(path.read_text("utf-8"))
    }
    for name, path in PATHS.items()
}
ROOMS = {name: room(name) for name in PATHS if name not in COMMAND_LINE | {"mlpcw.study"}}


def may(name, imported):
    """Whether a module may import another, or another project."""
    if not imported.startswith("mlpcw"):
        return ROOMS[name] in FOREIGN.get(imported.split(".")[0], ROOMS.values())
    if ROOMS[name] == "records" and imported == "mlpcw.checks":
        return True
    return imported in ("mlpcw", "mlpcw.study") or room(imported) in MAY_IMPORT[ROOMS[name]]


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_a_module_imports_only_from_rooms_that_it_may(name):
    assert [imported for imported in sorted(IMPORTS[name]) if not may(name, imported)] == []


def test_no_circle():
    graph = {name: IMPORTS[name] & set(PATHS) for name in PATHS}
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
        ("mlpcw.study.chapters.part1", "matplotlib.figure"),
        ("mlpcw.study.show.curves", "mlpcw.study.chapters.part1"),
    ],
)
def test_an_arrow_that_points_up_is_refused(name, imported):
    assert not may(name, imported)
