"""Composition: calling ops in a body places and wires them."""

from typing import Any

import pytest
from dagwire import GraphIn, GraphOut, In, Nothing, Out, graph, job, op
from dagwire.composition import FanInSource, GraphInputSource, OutputSource


@op
def number() -> int:
    return 1


@op
def add(x: int, y: int = 1) -> int:
    return x + y


@op
def total(xs: list[int]) -> int:
    return sum(xs)


@op(out={"small": Out(int, is_required=False), "large": Out(int, is_required=False)})
def split(x: int) -> Any: ...


@op(ins={"start": In(Nothing)})
def notify() -> None: ...


def wiring(definition):
    return {name: dict(node.inputs) for name, node in definition.graph.nodes.items()}


def test_calling_ops_wires_outputs_to_inputs():
    @job
    def j():
        add(number(), y=number())

    assert wiring(j) == {
        "number": {},
        "number_2": {},
        "add": {"x": OutputSource("number", "result"), "y": OutputSource("number_2", "result")},
    }


def test_the_same_op_again_gets_the_next_free_name():
    @job
    def j():
        number.alias("number_2")()
        number()
        number()
        number()

    assert list(j.graph.nodes) == ["number_2", "number", "number_3", "number_4"]


def test_an_alias_names_a_node_and_tags_mark_it():
    @job
    def j():
        number.alias("first").tag({"cost": 1})()
        number.tag({"cost": 2}).alias("second")()

    assert {name: dict(node.tags) for name, node in j.graph.nodes.items()} == {
        "first": {"cost": "1"},
        "second": {"cost": "2"},
    }


def test_a_list_of_outputs_is_collected():
    @job
    def j():
        total([number(), number()])

    sources = (OutputSource("number", "result"), OutputSource("number_2", "result"))
    assert wiring(j)["total"] == {"xs": FanInSource(sources)}


def test_several_outputs_are_unpacked_or_taken_by_name():
    @job
    def j():
        small, _large = split(number())
        add(small)
        add(split(number()).large)

    assert wiring(j)["add"] == {"x": OutputSource("split", "small")}
    assert wiring(j)["add_2"] == {"x": OutputSource("split_2", "large")}


def test_a_nothing_input_accepts_any_output():
    @job
    def j():
        notify(start=number())
        notify(start=[number(), notify()])

    assert wiring(j)["notify"] == {"start": OutputSource("number", "result")}


def test_nodes_stand_in_the_order_in_which_they_were_called():
    @job
    def j():
        a = number.alias("a")()
        number.alias("b")()
        add.alias("c")(a)
        number.alias("d")()

    assert list(j.graph.nodes) == ["a", "b", "c", "d"]


def test_a_graph_has_the_inputs_and_outputs_of_its_function():
    @graph
    def plus_two(x: int):
        """Adds two."""
        return add(add(x))

    assert plus_two.description == "Adds two."
    assert {name: one.type_name for name, one in plus_two.ins.items()} == {"x": "int"}
    assert {name: one.type_name for name, one in plus_two.outs.items()} == {"result": "int"}
    assert plus_two.output_sources == {"result": OutputSource("add_2", "result")}
    assert plus_two.nodes["add"].inputs == {"x": GraphInputSource("x")}


def test_a_graphs_input_without_annotation_has_the_type_that_it_feeds():
    @graph
    def g(x, start, loose):
        add(x)
        notify(start)

    assert {name: one.type_name for name, one in g.ins.items()} == {"x": "int", "start": "Nothing", "loose": "Any"}


def test_a_graphs_input_is_optional_where_all_that_it_feeds_is():
    @graph
    def g(x, y, z=5):
        add(x, y)
        add(z)

    assert {name: one.has_default for name, one in g.ins.items()} == {"x": False, "y": True, "z": True}


@pytest.mark.parametrize("way", ["names", "tuple", "node", "one"])
def test_a_graph_may_have_several_outputs(way):
    outputs = {"small": GraphOut(description="the small ones"), "large": GraphOut()}
    returned = {
        "names": lambda parts: {"small": parts.small, "large": parts.large},
        "tuple": lambda parts: (parts.small, parts.large),
        "node": lambda parts: parts,
        "one": lambda parts: {"small": parts[0], "large": parts[1]},
    }

    @graph(out=outputs)
    def g(x: int):
        return returned[way](split(x))

    assert dict(g.output_sources) == {"small": OutputSource("split", "small"), "large": OutputSource("split", "large")}
    assert g.outs["small"].description == "the small ones"
    assert not g.outs["small"].is_required


def test_all_outputs_of_a_node_may_be_returned_under_their_own_names():
    @graph
    def g(x: int):
        return split(x)

    assert list(g.outs) == ["small", "large"]


def test_a_single_output_may_be_named():
    @graph(out={"sum": GraphOut()})
    def g(x: int):
        return add(x)

    assert list(g.outs) == ["sum"]


def test_graphs_are_placed_in_jobs_and_in_graphs():
    @graph(ins={"x": GraphIn(description="any number")})
    def plus_two(x: int):
        return add(add(x))

    @graph
    def plus_four(x):
        return plus_two(plus_two(x))

    @job
    def j():
        add(plus_four.alias("four")(number()))

    assert list(j.graph.nodes) == ["number", "four", "add"]
    assert wiring(j)["add"] == {"x": OutputSource("four", "result")}
    assert plus_two.ins["x"].description == "any number"
    assert plus_four.ins["x"].type_name == "int"


def test_a_graph_becomes_a_job():
    @graph(tags={"team": "a"})
    def g():
        """Does it."""
        number()

    one = g.to_job()
    two = g.to_job(name="two", description="Other.", tags={"team": "b"})
    assert (one.name, one.description, dict(one.tags)) == ("g", "Does it.", {"team": "a"})
    assert (two.name, two.description, dict(two.tags)) == ("two", "Other.", {"team": "b"})
    assert one.graph is g


def test_composing_one_graph_does_not_disturb_the_one_around_it():
    @job
    def outer():
        @graph
        def inner():
            return number()

        total([inner(), number()])

    assert list(outer.graph.nodes) == ["inner", "number", "total"]


def test_an_op_whose_body_raises_while_composing_leaves_no_trace():
    with pytest.raises(ZeroDivisionError):

        @job
        def broken():
            1 / 0  # noqa: B018 -- it raises

    assert add(1) == 2  # called directly again, not placed
