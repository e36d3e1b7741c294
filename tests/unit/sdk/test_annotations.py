"""Annotations: what they are called, what may flow into what, and which values fit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NewType, Optional, Protocol, TypedDict, TypeVar, Union

import pytest
from dagwire.annotations import Nothing, annotations_of, can_flow, element_of, fits, type_name
from dagwire.errors import DefinitionError

UserId = NewType("UserId", int)
T = TypeVar("T")


class Base: ...


class Derived(Base): ...


class Other: ...


class Closable(Protocol):
    def close(self) -> None: ...


class Row(TypedDict):
    name: str


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (Any, "Any"),
        (int, "int"),
        (None, "None"),
        (Nothing, "Nothing"),
        (list[str], "list[str]"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (int | None, "int | None"),
        (Optional[int], "int | None"),  # noqa: UP045 -- the older spelling is what is tested
        (Literal["a", 1], "Literal['a', 1]"),
        (Annotated[int, "metres"], "int"),
        (tuple[int, ...], "tuple[int, ...]"),
        (UserId, "UserId"),
        (Base, "Base"),
    ],
)
def test_a_type_is_shown_as_people_write_it(annotation, name):
    assert type_name(annotation) == name


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (int, int),
        (int, Any),
        (Any, int),
        (int, float),
        (bool, int),
        (Derived, Base),
        (Base, Derived),  # the value may be a Derived; the run looks
        (int, int | str),
        (int | None, int),
        (list[int], list[int]),
        (list[int], list),
        (list, list[int]),
        (list[int], Sequence[int]),
        (list[int], Iterable[float]),
        (dict, Mapping[str, int]),
        (UserId, int),
        (Annotated[int, "x"], int),
        (T, int),
        (Other, Closable),
        (Literal["a"], str),
        (str, Literal["a"]),
        (tuple[int, ...], tuple[int, int]),
        (int, Nothing),
        (Nothing, Nothing),
        (Nothing, None),
        (Nothing, int | None),
        (Row, dict),
        (Union[int, str], str),  # noqa: UP007 -- the older spelling is what is tested
    ],
)
def test_a_value_may_flow_where_nothing_speaks_against_it(source, target):
    assert can_flow(source, target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (int, str),
        (str, int),
        (float, int),
        (Derived, Other),
        (int, str | bytes),
        (int | None, str),
        (list[int], list[str]),
        (list[int], Sequence[str]),
        (list, dict),
        (Nothing, int),
        (Literal["a"], int),
        (UserId, str),
        (dict[str, int], dict[str, str]),
    ],
)
def test_a_value_that_can_never_fit_does_not_flow(source, target):
    assert not can_flow(source, target)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (1, int),
        (1, float),
        (1, Any),
        (True, int),
        (None, None),
        (None, Nothing),
        (None, int | None),
        ([1], list[str]),  # elements are not looked at
        ("a", Literal["a", "b"]),
        ({"name": "x"}, Row),
        (Other(), Closable),
        (Derived(), Base),
        (len, "a name that nobody resolved"),
    ],
)
def test_a_value_fits(value, annotation):
    assert fits(value, annotation)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [(1, str), ("1", int), (True, float), (1.5, int), (1, Nothing), (1, None), ("c", Literal["a"]), ((1,), list[int])],
)
def test_a_value_does_not_fit(value, annotation):
    assert not fits(value, annotation)


def test_the_elements_of_a_list_are_known_for_fan_in():
    assert element_of(list[int]) is int
    assert element_of(Sequence[str]) is str
    assert element_of(list) is Any
    assert element_of(Any) is Any
    assert element_of(Nothing) is Nothing
    assert element_of(int) is None


def test_an_annotation_that_cannot_be_found_is_named():
    def function(x: "NotImported"): ...  # noqa: F821 -- that is the point

    with pytest.raises(DefinitionError, match=r"op 'x': .*NotImported.*at run time"):
        annotations_of(function, "op 'x'")
