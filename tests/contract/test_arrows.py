"""What may import what, read from the syntax of every module, imports inside functions included."""

import ast
import graphlib
from pathlib import Path

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


def imports(source, package):
    """Full names of all that a module imports; `package` is where relative imports start."""
    for node in at_run_time(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path):
    """Modules of the project, and top-level names of others, that a module imports."""
    name = name_of(path)
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for imported in imports(path.read_text("utf-8"), package):
        if imported.split(".")[0] != "mlpcw":
            yield imported.split(".")[0]
        else:  # a module, or a name in one
            yield imported if imported in PATHS else imported.rpartition(".")[0]


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
IMPORTS = {name: set(imported_modules(path)) for name, path in PATHS.items()}
ROOMS = {name: room(name) for name in PATHS if name not in ("mlpcw.study", "mlpcw.__main__")}


def wrong(name):
    """What a module imports and may not."""
    for imported in sorted(IMPORTS[name]):
        if not imported.startswith("mlpcw"):
            if ROOMS[name] not in FOREIGN.get(imported, {ROOMS[name]}):
                yield imported
        elif ROOMS[name] == "records" and imported in OF_THE_LIBRARY:
            continue
        elif imported not in ("mlpcw", "mlpcw.study") and (
            room(imported) not in MAY_IMPORT[ROOMS[name]]
        ):
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
        ("from . import b", ["mlpcw.study.b"]),
        ("from ..c import b", ["mlpcw.c.b"]),
        ("def f():\n    import a", ["a"]),
        ("if TYPE_CHECKING:\n    import a\nimport b", ["b"]),
    ],
)
def test_imports_are_found(source, names):
    assert list(imports(source, "mlpcw.study")) == names
