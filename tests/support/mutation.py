"""Small faults put into a module of the library, one at a time: mutants.

A mutant differs from the source in one place. It is of one of these kinds:

* "logic": a comparison or a sign turned, a number one larger, a condition negated, a statement or a
  returned value left out;
* "casts": a dtype left out;
* "blocks": a slice or a range that ends one too early or too late, or without its last part;
* "memory": a new array in place of one that is changed in place, an order of memory or a copy left
  out.

Tests that pass all the same have missed it. `mutants_of` lists those of a source, `make mutants`
(mutate.py) tries them, and test_mutants.py holds some by name.

Left alone are text, annotations, docstrings and decorators.
"""

import ast
import collections
import contextlib
import copy
import inspect
from collections.abc import Callable
from typing import NamedTuple

KINDS = ("logic", "casts", "blocks", "memory")

COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATIONS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


DTYPE_AT = {"asarray": 1, "ascontiguousarray": 1, "array": 1, "empty": 1, "zeros": 1, "ones": 1}
"""Functions of NumPy that take a dtype without its name, and as which argument."""


class Mutant(NamedTuple):
    """Its kind, and a function without arguments that returns an `ast.Module`."""

    kind: str
    make: Callable[[], ast.Module]


def mutants_of(source):
    """The mutants of a source, by name.

    The name says where it is and what became of what; it stays the same as long as that place does,
    wherever in the file that is.

    Returns:
        A dictionary of `Mutant`.
    """
    tree = ast.parse(source)
    count = collections.Counter()
    mutants = {}
    for number, (kind, name) in enumerate(_Mutator(None).list(tree)):
        count[name] += 1
        key = name if count[name] == 1 else f"{name} ({count[name]})"
        mutants[key] = Mutant(kind, lambda number=number: _Mutator(number).apply(tree))
    return mutants


class _Mutator(ast.NodeTransformer):
    """Visits all places where there is something to change, and changes that of one number."""

    def __init__(self, wanted):
        self.wanted, self.names, self.scope, self.numbers = wanted, [], [], set()

    def list(self, tree):
        self.visit(copy.deepcopy(tree))
        return self.names

    def apply(self, tree):
        return ast.fix_missing_locations(self.visit(copy.deepcopy(tree)))

    def choose(self, node, *others, kind="logic"):
        """The node, or of the others that which is wanted."""
        chosen = node
        for other in others:
            if len(self.names) == self.wanted:
                chosen = ast.copy_location(other, node)
            was, becomes = (" ".join(ast.unparse(each).split()) for each in (node, other))
            name = f"{'.'.join(self.scope) or 'module'}: {was} -> {becomes}"
            self.names.append((kind, name))
        return chosen

    # ---- scopes, and what is left alone ----

    def visit_FunctionDef(self, node):
        self.scope.append(node.name)
        self.numbers = _numbers(node)
        node.args.defaults = [self.visit(each) for each in node.args.defaults]
        node.args.kw_defaults = [each and self.visit(each) for each in node.args.kw_defaults]
        node.body = [self.visit(each) for each in node.body]
        self.scope.pop()
        return node

    def visit_ClassDef(self, node):
        self.scope.append(node.name)
        node.body = [self.visit(each) for each in node.body]
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
        others = []
        for index, each in enumerate(node.ops):
            ops = [*node.ops[:index], COMPARISONS[type(each)](), *node.ops[index + 1 :]]
            others.append(ast.Compare(node.left, ops, node.comparators))
        return self.choose(node, *others)

    def visit_BinOp(self, node):
        self.generic_visit(node)
        other = OPERATIONS.get(type(node.op))
        return self.choose(node, ast.BinOp(node.left, other(), node.right)) if other else node

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return self.choose(node, ast.BoolOp(other, node.values))

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
        keywords = {each.arg: each for each in node.keywords}

        def without(keyword):
            return ast.Call(node.func, node.args, [k for k in node.keywords if k is not keyword])

        chosen = node
        if name == "astype":
            chosen = self.choose(chosen, node.func.value, kind="casts")
        if "dtype" in keywords:
            chosen = self.choose(chosen, without(keywords["dtype"]), kind="casts")
        if len(node.args) > (at := DTYPE_AT.get(name, len(node.args))):
            args = [*node.args[:at], *node.args[at + 1 :]]
            chosen = self.choose(chosen, ast.Call(node.func, args, node.keywords), kind="casts")
        for keyword in ("out", "order"):
            if keyword in keywords:
                chosen = self.choose(chosen, without(keywords[keyword]), kind="memory")
        if name == "copy" and not node.args:
            chosen = self.choose(chosen, node.func.value, kind="memory")
        if name in ("ascontiguousarray", "asfortranarray"):
            chosen = self.choose(chosen, node.args[0], kind="memory")
        if name in ("slice", "range") and node.args:
            chosen = self.choose(chosen, *_other_ends(node), kind="blocks")
        return chosen

    def visit_Slice(self, node):
        self.generic_visit(node)
        # Another number in place of one that is written out is a mutant of that already.
        if not isinstance(node.upper, ast.Constant | ast.UnaryOp | None):
            node.upper = self.choose(node.upper, _plus(node.upper, -1), kind="blocks")
        if not isinstance(node.lower, ast.Constant | ast.UnaryOp | None):
            node.lower = self.choose(node.lower, _plus(node.lower, 1), kind="blocks")
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
        other = OPERATIONS.get(type(node.op))
        changed = [ast.AugAssign(node.target, other(), node.value)] if other else []
        chosen = self.choose(node, *changed, ast.Pass())
        name = _loaded(node.target)
        number = isinstance(node.value, ast.Constant) or ast.unparse(node.target) in self.numbers
        if name and not number:
            new = _assignment(node.target, ast.BinOp(name, node.op, node.value), node)
            chosen = self.choose(chosen, new, kind="memory")
        return chosen

    def visit_Assign(self, node):
        node.value = self.visit(node.value)
        # A name that is not assigned fails at once: nothing to learn.
        named = all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
        if named:
            return node
        chosen = self.choose(node, ast.Pass())
        target = node.targets[0]
        whole = isinstance(target, ast.Subscript) and ast.unparse(target.slice) in (":", "...")
        if whole and _loaded(target.value):
            name = copy.copy(target.value)
            name.ctx = ast.Store()
            chosen = self.choose(chosen, _assignment(name, node.value, node), kind="memory")
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
    """What a name or an attribute, perhaps one to be set, stands for; `None` for other nodes."""
    return ast.parse(ast.unparse(node), mode="eval").body if _is_name(node) else None


def _is_name(node):
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_name(node.value))


def _assignment(target, value, node):
    return ast.copy_location(ast.Assign([target], value, lineno=node.lineno), node)


def _plus(node, number):
    operation = ast.Add() if number > 0 else ast.Sub()
    return ast.BinOp(node, operation, ast.Constant(abs(number)))


def _other_ends(call):
    """A slice or a range that ends one earlier, a range without what does not fill a step."""
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
    """The names that a function sets to a plain number or to one of a dtype: not arrays."""
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


# ---- in place ----------------------------------------------------------------------------------


@contextlib.contextmanager
def mutated(module, *changes):
    """Puts other text in the place of parts of a module's source, in the functions as they live.

    Whoever has imported one of them has the mutant, and afterwards the original again. Compiled
    kernels stay as they are; their plain functions change.

    Args:
        module: The module.
        *changes: Pairs of an old text, which stands in the source once, and a new one.
    """
    source = changed = inspect.getsource(module)
    for old, new in changes:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} must be once in {module.__name__}: {source.count(old)}")
        changed = changed.replace(old, new)
    before, after = (_codes(compile(text, module.__file__, "exec")) for text in (source, changed))
    swapped = [name for name in before if not _same(before[name], after[name])]
    if not swapped:
        raise ValueError(f"no function of {module.__name__} has changed")
    functions = [_function(module, name) for name in swapped]
    try:
        for name, function in zip(swapped, functions, strict=True):
            function.__code__ = after[name]
        yield
    finally:
        for name, function in zip(swapped, functions, strict=True):
            function.__code__ = before[name]


def _codes(code):
    """The code of each function of a module and of its classes, by qualified name."""
    found = {}
    for each in code.co_consts:
        if inspect.iscode(each):
            if each.co_flags & inspect.CO_OPTIMIZED:
                found[each.co_qualname] = each
            else:  # the body of a class
                found |= _codes(each)
    return found


def _same(one, other):
    """Whether two codes are equal but for the lines that they stand on."""
    if not (inspect.iscode(one) and inspect.iscode(other)):
        return one == other
    return (
        (one.co_code, one.co_names) == (other.co_code, other.co_names)
        and len(one.co_consts) == len(other.co_consts)
        and all(_same(*pair) for pair in zip(one.co_consts, other.co_consts, strict=True))
    )


def _function(module, qualname):
    value = module
    for name in qualname.split("."):
        value = inspect.getattr_static(value, name)
    return inspect.unwrap(value)
