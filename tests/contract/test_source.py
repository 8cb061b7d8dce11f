"""What modules of the package may import and call, read from their syntax."""

import ast
import graphlib

import pytest

from mlpcw.study.records import store

PACKAGE = store.repository_root() / "mlpcw"
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}

BELOW = {
    "library": set(),
    "records": {"library"},
    "original": {"library", "records"},
    "runs": {"library", "records", "original"},
    "stats": {"records"},
    "show": {"library", "records", "original"},
    "chapters": {"library", "records", "original", "stats", "show"},
    "pages": {"library", "records", "original", "runs", "stats", "show", "chapters"},
}
"""Rooms of the package, to the rooms that they may import beside themselves."""

OF_LIBRARY = {"records": {"mlpcw", "mlpcw.checks"}}
"""Rooms that may import these modules of the library only."""

NOT_DRAWN = {"library", "records", "original", "runs", "stats", "chapters"}
"""Rooms that import neither matplotlib nor IPython."""


NAMES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def room(name):
    """Where a module belongs; everything may stand in the command line, `None`."""
    parts = name.split(".")[1:]
    if parts[:1] in (["__main__"], ["command_line"]):
        return None
    return parts[1] if parts[:1] == ["study"] and len(parts) > 1 else "library"


def imports(node, lazy=True):
    """The modules that a syntax tree imports, by their whole names; not those for types alone."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            yield name if name in NAMES else node.module
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    elif lazy or not isinstance(node, ast.FunctionDef):
        for child in ast.iter_child_nodes(node):
            yield from imports(child, lazy)


def breaches(name, names):
    """A line for each import of a module that its room may not have."""
    here = room(name)
    for imported in sorted(set(names) if here else ()):
        there = room(imported) if imported in NAMES else None
        allowed = there in (None, here) or there in BELOW[here]
        if there == "library" and imported not in OF_LIBRARY.get(here, {imported}):
            allowed = False
        if imported.split(".")[0] in ("matplotlib", "IPython") and here in NOT_DRAWN:
            allowed = False
        if not allowed:
            yield f"{name} imports {imported}"


def test_imports_point_one_way():
    trees = {name: ast.parse(path.read_text("utf-8")) for name, path in NAMES.items()}
    assert [line for name, tree in trees.items() for line in breaches(name, imports(tree))] == []
    at_top = {
        name: {*imports(tree, lazy=False)} & {*NAMES} - {name} for name, tree in trees.items()
    }
    graphlib.TopologicalSorter(at_top).prepare()  # there is no circle


@pytest.mark.parametrize(
    ("name", "imported"),
    [
        ("mlpcw.layers", "mlpcw.study.records.store"),
        ("mlpcw.study.records.store", "mlpcw.study.runs.sweep"),
        ("mlpcw.study.records.store", "mlpcw.layers"),
        ("mlpcw.study.chapters", "matplotlib.figure"),
        ("mlpcw.study.show.style", "mlpcw.study.chapters"),
    ],
)
def test_an_import_that_points_up_is_a_breach(name, imported):
    assert list(breaches(name, [imported])) == [f"{name} imports {imported}"]


def dangers(source):
    """A line for each import or call that could run code from a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            yield from (f"imports {name}" for name in names if UNSAFE_MODULES & {*name.split(".")})
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            keywords = {
                keyword.arg: getattr(keyword.value, "value", True) for keyword in node.keywords
            }
            if isinstance(node.func, ast.Name) and name in UNSAFE_CALLS:
                yield f"{name}()"
            if "allow_pickle" in keywords or keywords.get("shell"):
                yield f"{name}({', '.join(keywords)})"


def test_no_module_can_run_code_from_a_file():
    texts = {name: path.read_text("utf-8") for name, path in NAMES.items()}
    assert {name: said for name, text in texts.items() if (said := list(dangers(text)))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import sklearn.externals.joblib as j",
        "from sklearn.externals import joblib",
        "np.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=flag)",
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_what_could_is_a_danger(source):
    assert list(dangers(source))
