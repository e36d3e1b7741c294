"""Finds the docstrings below a class's attributes, for JSON Schemas and docs. Nothing at run time needs it."""

import ast
import inspect
import textwrap


def attribute_docstrings(cls: type) -> dict[str, str]:
    """Return the docstring below each annotated attribute of a class and its bases, by the attribute's name."""
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if "__annotations__" in vars(one):
            found |= _of_class(one)
    return found


def _of_class(cls: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):  # made in a shell, or without source
        return {}
    (definition,) = ast.parse(source).body
    if not isinstance(definition, ast.ClassDef):  # pragma: no cover -- it is the source of a class
        return {}
    pairs = zip(definition.body, definition.body[1:], strict=False)
    return {
        statement.target.id: inspect.cleandoc(text.value.value)
        for statement, text in pairs
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
