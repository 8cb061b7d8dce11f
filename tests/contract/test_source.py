"""What no module of the package may do, found by walking its syntax."""

import ast

import pytest

from mlpcw.study.records import store

MODULES = sorted((store.repository_root() / "mlpcw").rglob("*.py"))
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}


def dangers(source):
    """A line for each import or call that could run code from a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if UNSAFE_MODULES & set(name.split(".")):
                    yield f"imports {name}"
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if any(keyword.arg == "allow_pickle" for keyword in node.keywords):
                yield f"{name}(allow_pickle=)"
            if isinstance(node.func, ast.Name) and name in UNSAFE_CALLS:
                yield f"{name}()"
            if any(
                keyword.arg == "shell" and getattr(keyword.value, "value", True)
                for keyword in node.keywords
            ):
                yield f"{name}(shell=)"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_can_run_code_from_a_file(path):
    assert list(dangers(path.read_text("utf-8"))) == []


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
def test_what_could_is_found(source):
    assert len(list(dangers(source))) >= 1


def test_the_package_is_walked():
    assert {"store", "mnist", "sweep"} <= {path.stem for path in MODULES}
