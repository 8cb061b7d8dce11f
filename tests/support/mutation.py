"""Mutants: small faults put into a module of the library, one at a time.

`mutants_of` lists those of a source, `make mutants` (mutate.py) tries them, and test_mutants.py
tries some larger ones by name. The faults: a comparison or sign turned, a number increased by one,
a condition negated, a statement or returned value dropped; a dtype, a memory order or a copy
dropped; a slice or range that ends one too early or too late; a new array in place of one changed
in place. Strings, annotations, docstrings and decorators are not changed.
"""

import ast
import collections
import contextlib
import copy
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "mlpcw"
PAIRS = [
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq)),
    *((ast.In, ast.NotIn), (ast.Is, ast.IsNot)),
]
COMPARISONS = dict(PAIRS) | {turned: op for op, turned in PAIRS}
OPERATIONS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
OPERATIONS |= {ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult}
OPERATIONS |= {ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
DTYPE_AT = {"asarray": 1, "ascontiguousarray": 1, "array": 1, "empty": 1, "zeros": 1, "ones": 1}
"""Functions of NumPy that take a dtype by position, and its position."""


Makers = dict[str, Callable[[], ast.Module]]
"""Name of a mutant to a function that makes its syntax tree."""


def mutants_of(source: str, count: collections.Counter | None = None) -> Makers:
    """The mutants of a source, by name: "scope: was -> becomes", numbered where that is not unique.

    The name does not depend on where in the file the scope stands. `count`, of the names so far,
    is shared by the files of a folder.
    """
    tree = ast.parse(source)
    count = collections.Counter() if count is None else count
    mutants = {}
    for number, name in enumerate(_Mutator(None).list(tree)):
        count[name] += 1
        key = name if count[name] == 1 else f"{name} ({count[name]})"
        mutants[key] = lambda number=number: _Mutator(number).apply(tree)
    return mutants


class _Mutator(ast.NodeTransformer):
    """Lists every possible change in the order of the visit; applies the one that is wanted."""

    def __init__(self, wanted):
        self.wanted, self.names, self.scope, self.numbers = wanted, [], [], set()

    def list(self, tree):
        self.visit(copy.deepcopy(tree))
        return self.names

    def apply(self, tree):
        return ast.fix_missing_locations(self.visit(copy.deepcopy(tree)))

    def choose(self, node, *changes):
        """The node, or the wanted one of its changes."""
        chosen = node
        for change in changes:
            if len(self.names) == self.wanted:
                chosen = ast.copy_location(change, node)
            was, becomes = (" ".join(ast.unparse(code).split()) for code in (node, change))
            self.names.append(f"{'.'.join(self.scope) or 'module'}: {was} -> {becomes}")
        return chosen

    # ---- scopes, and nodes that are not changed ----

    def visit_FunctionDef(self, node):
        self.scope.append(node.name)
        self.numbers = _numbers(node)
        node.args.defaults = [self.visit(value) for value in node.args.defaults]
        node.args.kw_defaults = [value and self.visit(value) for value in node.args.kw_defaults]
        node.body = [self.visit(statement) for statement in node.body]
        self.scope.pop()
        return node

    def visit_ClassDef(self, node):
        self.scope.append(node.name)
        node.body = [self.visit(statement) for statement in node.body]
        self.scope.pop()
        return node

    def visit_AnnAssign(self, node):
        node.value = node.value and self.visit(node.value)
        return node

    def visit_JoinedStr(self, node):
        return node

    # ---- expressions ----

    def visit_Compare(self, node):
        self.generic_visit(node)
        changes = []
        for index, op in enumerate(node.ops):
            ops = [*node.ops[:index], COMPARISONS[type(op)](), *node.ops[index + 1 :]]
            changes.append(ast.Compare(node.left, ops, node.comparators))
        return self.choose(node, *changes)

    def visit_BinOp(self, node):
        self.generic_visit(node)
        op = OPERATIONS.get(type(node.op))
        return self.choose(node, ast.BinOp(node.left, op(), node.right)) if op else node

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return self.choose(node, ast.BoolOp(op, node.values))

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        return self.choose(node, node.operand)

    def visit_IfExp(self, node):
        self.generic_visit(node)
        return self.choose(node, ast.IfExp(node.test, node.orelse, node.body))

    def visit_Constant(self, node):
        if isinstance(node.value, bool):
            return self.choose(node, ast.Constant(not node.value))
        if isinstance(node.value, int | float):
            return self.choose(node, ast.Constant(node.value + 1))
        return node

    def visit_Call(self, node):
        self.generic_visit(node)
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        keywords = {keyword.arg: keyword for keyword in node.keywords}

        def without(keyword):
            return ast.Call(node.func, node.args, [k for k in node.keywords if k is not keyword])

        chosen = node
        if name == "astype":
            chosen = self.choose(chosen, node.func.value)
        if "dtype" in keywords:
            chosen = self.choose(chosen, without(keywords["dtype"]))
        if len(node.args) > (at := DTYPE_AT.get(name, len(node.args))):
            args = [*node.args[:at], *node.args[at + 1 :]]
            chosen = self.choose(chosen, ast.Call(node.func, args, node.keywords))
        for keyword in ("out", "order"):
            if keyword in keywords:
                chosen = self.choose(chosen, without(keywords[keyword]))
        if name == "copy" and not node.args:
            chosen = self.choose(chosen, node.func.value)
        if name in ("ascontiguousarray", "asfortranarray"):
            chosen = self.choose(chosen, node.args[0])
        if name in ("slice", "range") and node.args:
            chosen = self.choose(chosen, *_ends(node))
        return chosen

    def visit_Slice(self, node):
        self.generic_visit(node)
        # A number that is written out is changed by visit_Constant already.
        if not isinstance(node.upper, ast.Constant | ast.UnaryOp | None):
            node.upper = self.choose(node.upper, _plus(node.upper, -1))
        if not isinstance(node.lower, ast.Constant | ast.UnaryOp | None):
            node.lower = self.choose(node.lower, _plus(node.lower, 1))
        return node

    # ---- statements ----

    def visit_If(self, node):
        self.generic_visit(node)
        self.scope.append("if")
        node.test = self.choose(node.test, ast.UnaryOp(ast.Not(), node.test))
        self.scope.pop()
        return node

    def visit_Return(self, node):
        self.generic_visit(node)
        is_none = node.value is None or ast.unparse(node.value) == "None"
        return node if is_none else self.choose(node, ast.Return(ast.Constant(None)))

    def visit_AugAssign(self, node):
        node.value = self.visit(node.value)
        op = OPERATIONS.get(type(node.op))
        changed = [ast.AugAssign(node.target, op(), node.value)] if op else []
        chosen = self.choose(node, *changed, ast.Pass())
        name = _loaded(node.target)
        number = isinstance(node.value, ast.Constant) or ast.unparse(node.target) in self.numbers
        if name and not number:
            new = _assignment(node.target, ast.BinOp(name, node.op, node.value), node)
            chosen = self.choose(chosen, new)
        return chosen

    def visit_Assign(self, node):
        node.value = self.visit(node.value)
        if all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets):
            return node  # a name that is not assigned fails at once: nothing to learn
        chosen = self.choose(node, ast.Pass())
        target = node.targets[0]
        whole = isinstance(target, ast.Subscript) and ast.unparse(target.slice) in (":", "...")
        if whole and _loaded(target.value):
            name = copy.copy(target.value)
            name.ctx = ast.Store()
            chosen = self.choose(chosen, _assignment(name, node.value, node))
        return chosen

    def visit_Expr(self, node):
        if isinstance(node.value, ast.Constant):
            return node  # a docstring
        self.generic_visit(node)
        return self.choose(node, ast.Pass())

    def visit_Raise(self, node):
        self.generic_visit(node)
        return self.choose(node, ast.Pass())


def _loaded(node):
    """A name or an attribute that is to be set, as one that is read; `None` for other nodes."""
    return ast.parse(ast.unparse(node), mode="eval").body if _is_name(node) else None


def _is_name(node):
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_name(node.value))


def _assignment(target, value, node):
    return ast.copy_location(ast.Assign([target], value, lineno=node.lineno), node)


def _plus(node, number):
    operation = ast.Add() if number > 0 else ast.Sub()
    return ast.BinOp(node, operation, ast.Constant(abs(number)))


def _ends(call):
    """A slice or range that ends one earlier, and a range without an incomplete last step."""
    at = 0 if len(call.args) == 1 else 1
    ends = [_plus(call.args[at], -1)]
    if len(call.args) == 3:
        ends.append(_plus(ast.BinOp(call.args[1], ast.Sub(), call.args[2]), 1))
    if isinstance(call.args[at], ast.Constant):
        ends = []
    return [
        ast.Call(call.func, [*call.args[:at], end, *call.args[at + 1 :]], call.keywords)
        for end in ends
    ]


def _numbers(function):
    """The names that a function sets to a number: they are not arrays."""
    return {
        name.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and (
            isinstance(node.value, ast.Constant)
            or (isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith("type"))
        )
        for name in node.targets
        if isinstance(name, ast.Name)
    }


# ---- files, and faults in place --------------------------------------------------------------


def files_of(modules: str) -> list[Path]:
    """The files of modules, each a file or a folder of the package: "layers step_kernels"."""
    return sorted(
        path
        for name in modules.split()
        for path in [PACKAGE / f"{name}.py", *(PACKAGE / name).rglob("*.py")]
        if path.is_file()
    )


@contextlib.contextmanager
def mutated(modules: str, *changes: tuple[str, str]):
    """Replaces text in the source of modules and swaps the code of the functions that changed.

    Importers of such a function have the mutant, and afterwards the original again. Of a compiled
    kernel the plain function changes.

    Args:
        modules: As for `files_of`.
        *changes: Old text, which stands once in all these modules, and new text.
    """
    sources = {path: path.read_text("utf-8") for path in files_of(modules)}
    changed = dict(sources)
    for old, new in changes:
        number = sum(source.count(old) for source in sources.values())
        if number != 1:
            raise ValueError(f"{old!r} must be once in {modules}, not {number} times")
        changed = {path: source.replace(old, new) for path, source in changed.items()}
    paths = [path for path in sources if _differ(sources[path], changed[path])]
    if not paths:
        raise ValueError(f"no function of {modules} has changed")
    swaps = [swap for path in paths for swap in _functions(path, changed[path])]
    originals = [(function, function.__code__) for function, _ in swaps]
    try:
        for function, code in swaps:
            function.__code__ = code
        yield
    finally:
        for function, code in originals:
            function.__code__ = code


def _differ(*sources):
    one, other = (ast.dump(ast.parse(source)) for source in sources)
    return one != other


def _functions(path, source):
    """The functions of a module and of its classes, each with its code in a source."""
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    module = importlib.import_module(name.removesuffix(".__init__"))
    for code in _codes(compile(source, path, "exec")):
        function = module
        for part in code.co_qualname.split("."):
            function = inspect.getattr_static(function, part)
        function = inspect.unwrap(function)
        if inspect.isfunction(function):
            yield function, code


def _codes(code):
    for constant in code.co_consts:
        if inspect.iscode(constant) and "<" not in constant.co_qualname:
            yield constant
            yield from _codes(constant)
