"""JSON read into frozen dataclasses, checked all the way down, with sentences about what is wrong.

For files that the book is made from and that people may edit by hand: a field too many, one that is
missing, or a value of another type is refused by its place in the file.
"""

import dataclasses
import sys
import types
import typing
from typing import Any


def build(kind: Any, value: Any, where: str) -> Any:
    """A value of a type from what JSON holds.

    Args:
        kind: A dataclass, `str`, `int`, `float`, `bool`, a `tuple` or a `dict` of such, or one of
            these or `None`.
        value: What `json.loads` has returned.
        where: The place of the value, for messages.

    Raises:
        ValueError: If the value is not of the type, or a dataclass refuses it.
    """
    if isinstance(kind, types.UnionType):
        (kind,) = (option for option in typing.get_args(kind) if option is not type(None))
        return None if value is None else build(kind, value, where)
    if dataclasses.is_dataclass(kind):
        return _build_object(kind, value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} is no list")
        item_kind = typing.get_args(kind)[0]
        return tuple(build(item_kind, item, f"{where}[{i}]") for i, item in enumerate(value))
    if typing.get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is no object")
        item_kind = typing.get_args(kind)[1]
        return {name: build(item_kind, item, f"{where}.{name}") for name, item in value.items()}
    if kind is float:
        if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
            raise ValueError(f"{where} is {value!r}, no finite number")
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{where} is {value!r}, not of type {kind.__name__}")
    return value


def _build_object(kind: type, value: Any, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if not isinstance(value, dict):
        raise ValueError(f"{where} is no object")
    if set(value) != set(hints):
        odd = ", ".join(sorted(set(value) ^ set(hints)))
        raise ValueError(f"{where} has missing or unknown fields: {odd}")
    fields = {name: build(hints[name], value[name], f"{where}.{name}") for name in hints}
    try:
        return kind(**fields)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def problem(error: Exception) -> str:
    """What is wrong with a file, to follow its name in a sentence.

    Args:
        error: What reading it has raised: `OSError`, `ValueError` or `RecursionError`.
    """
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"is damaged: {' '.join(str(error).split())[:300]}"
