"""Small faults put into a module of the library, one at a time: mutants.

A mutant differs from the source in one place: a comparison or a sign turned, a number one larger, a
condition negated, a statement or a returned value left out. Tests that pass all the same have
missed it. `mutants_of` lists those of a source, `make mutants` (mutate.py) tries them, and
test_mutants.py holds some by name.

Left alone are text, annotations, docstrings and decorators.
"""

import ast
import collections
import contextlib
import copy
import inspect

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


def mutants_of(source):
    """The mutants of a source, each a name and a tree.

    The name says where it is and what became of what; it stays the same as long as that place does,
    wherever in the file that is.

    Returns:
        A dictionary of functions without arguments that return an `ast.Module`.
    """
    tree = ast.parse(source)
    count = collections.Counter()
    mutants = {}
    for number, name in enumerate(_Mutator(None).list(tree)):
        count[name] += 1
        key = name if count[name] == 1 else f"{name} ({count[name]})"
        mutants[key] = lambda number=number: _Mutator(number).apply(tree)
    return mutants


class _Mutator(ast.NodeTransformer):
    """Visits all places where there is something to change, and changes that of one number."""

    def __init__(self, wanted):
        self.wanted, self.names, self.scope = wanted, [], []

    def list(self, tree):
        self.visit(copy.deepcopy(tree))
        return self.names

    def apply(self, tree):
        return ast.fix_missing_locations(self.visit(copy.deepcopy(tree)))

    def choose(self, node, *others):
        """The node, or of the others that which is wanted."""
        chosen = node
        for other in others:
            if len(self.names) == self.wanted:
                chosen = ast.copy_location(other, node)
            was, becomes = (" ".join(ast.unparse(each).split()) for each in (node, other))
            self.names.append(f"{'.'.join(self.scope) or 'module'}: {was} -> {becomes}")
        return chosen

    # ---- scopes, and what is left alone ----

    def visit_FunctionDef(self, node):
        self.scope.append(node.name)
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
        return self.choose(node, *changed, ast.Pass())

    def visit_Assign(self, node):
        node.value = self.visit(node.value)
        # A name that is not assigned fails at once: nothing to learn.
        named = all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
        return node if named else self.choose(node, ast.Pass())

    def visit_Expr(self, node):
        if isinstance(node.value, ast.Constant):
            return node  # a docstring
        self.generic_visit(node)
        return self.choose(node, ast.Pass())

    def visit_Raise(self, node):
        self.generic_visit(node)
        return self.choose(node, ast.Pass())


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
