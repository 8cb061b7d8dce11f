"""No module of the package can run code from a file, read from its syntax."""

import ast

import pytest

from mlpcw.study.records import store

PACKAGE = store.repository_root() / "mlpcw"
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}

PATHS = sorted(PACKAGE.rglob("*.py"))


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
    assert {path.name for path in PATHS} >= {"store.py", "images.py", "sweep.py"}
    texts = {path: path.read_text("utf-8") for path in PATHS}
    assert {path: said for path, text in texts.items() if (said := list(dangers(text)))} == {}


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
