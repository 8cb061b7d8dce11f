"""Three witnesses for every gradient: which tests are witnesses, and of what.

A gradient is believed for three reasons: it is the slope of its function along random directions
(`gradcheck`), an independent implementation agrees (a slow one, or a library's), and a small case
was worked by hand. A test that gives such a reason is marked with `witness`. The table of subjects
and their witnesses is made of the marks of all tests that pytest collected; test_witnesses.py fails
if one is missing, and `make witnesses` stores how many passed.
"""

import collections
import inspect

import pytest

from mlpcw import compiled, conv, errors, layers, models, penalties

PROJECTION, INDEPENDENT, BY_HAND = KINDS = ("projection", "independent", "by hand")

Table = dict[str, collections.Counter]


def witness(kind, of):
    """Marks a test, or each of its cases, as a witness.

    Args:
        kind: One of `KINDS`.
        of: Whose gradient: a class of the library, an instance of one (or of a subclass that the
            tests have), or a name; or a function of parameters of the test that returns such.
    """
    return pytest.mark.witness(kind, of)


def conv_method(method):
    """The subject that is a method of convolution."""
    return f"conv: {method}"


def witnessed(item):
    """The subject and the kind of each mark of a collected test."""
    for mark in item.iter_markers("witness"):
        kind, of = mark.args
        if inspect.isfunction(of):
            params = item.callspec.params
            of = of(*(params[name] for name in inspect.signature(of).parameters))
        yield _name(of), kind


def table_of(items):
    """How many witnesses of each kind each subject has among collected tests."""
    table: Table = collections.defaultdict(collections.Counter)
    for item in items:
        for subject, kind in witnessed(item):
            table[subject][kind] += 1
    return table


def subjects():
    """All whose gradients the library computes, by name: read from its modules, not from a list.

    Methods of convolution that are compiled count where there is a compiler.
    """
    methods = set(conv.METHODS) - (set() if compiled.enabled() else conv.COMPILED)
    found = [kind for module in (layers, errors, penalties) for kind in _public(module)]
    found.append(models.MultipleLayerModel)
    return [_name(kind) for kind in found] + [conv_method(method) for method in sorted(methods)]


def lacking(table):
    """A sentence for each witness that is missing."""
    return [
        f"{subject} has no witness of the kind {kind!r}"
        for subject in subjects()
        for kind in KINDS
        if not table.get(subject, {}).get(kind)
    ]


def _public(module):
    """The classes of a module; those with subclasses there are contracts, without a formula."""
    return [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and name[0] != "_"
        and not any(kind.__module__.startswith(module.__name__) for kind in value.__subclasses__())
    ]


def _name(subject):
    if isinstance(subject, str):
        return subject
    kinds = inspect.getmro(subject if inspect.isclass(subject) else type(subject))
    ours = next(kind for kind in kinds if kind.__module__.startswith("mlpcw."))
    return f"{ours.__module__.removeprefix('mlpcw.')}.{ours.__name__}"
