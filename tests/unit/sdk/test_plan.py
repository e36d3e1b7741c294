"""Plans and progress: which steps a run has, and which of them may run."""

from dagwire import In, Nothing, Out, graph, job, op
from dagwire.execute.progress import Outcome, Progress, Skip
from dagwire.plan import FromConfig, FromDefault, FromOutput, FromOutputs


@op
def number() -> int:
    return 1


@op
def add(x: int, y: int = 1) -> int:
    return x + y


@op
def total(xs: list[int]) -> int:
    return sum(xs)


@op(ins={"start": In(Nothing)})
def notify() -> None: ...


@op(out={"a": Out(int, is_required=False), "b": Out(int, is_required=False)})
def split(): ...


def plan_of(definition, config=None):
    return definition.plan(definition.resolve_config(config or {}))


def test_graphs_are_flattened_and_inputs_traced_to_what_gives_them():
    @graph
    def inner(x, start):
        notify(start)
        return add(x)

    @graph
    def outer(x):
        return inner(x, number.alias("first")())

    @job
    def j():
        add(outer(number()), number.alias("other")())

    steps = {step.key: step for step in plan_of(j).steps}
    assert list(steps) == ["number", "outer.first", "outer.inner.notify", "outer.inner.add", "other", "add"]
    assert steps["outer.inner.add"].inputs["x"] == FromOutput("number", "result")
    assert steps["outer.inner.notify"].inputs["start"] == FromOutput("outer.first", "result")
    assert steps["add"].inputs == {
        "x": FromOutput("outer.inner.add", "result"),
        "y": FromOutput("other", "result"),
    }
    assert steps["add"].depends_on == ("outer.inner.add", "other")
    assert steps["outer.inner.add"].path == ("outer", "inner", "add")


def test_each_step_follows_those_it_waits_for_even_across_graphs():
    @graph
    def early(x):
        return add(x)

    @job
    def j():
        late = number.alias("late")()
        early(late)

    keys = [step.key for step in plan_of(j).steps]
    assert keys.index("late") < keys.index("early.add")


def test_inputs_come_from_outputs_lists_config_and_defaults():
    @graph
    def defaulted(x=5):
        return add(x)

    @job
    def j():
        add.alias("given")()
        total([number(), number()])
        defaulted()

    steps = {step.key: step for step in plan_of(j, {"ops": {"given": {"inputs": {"x": 3}}}}).steps}
    assert steps["given"].inputs["x"] == FromConfig((("given",), "x"))
    assert isinstance(steps["given"].inputs["y"], FromDefault)
    assert steps["total"].inputs["xs"] == FromOutputs(
        (FromOutput("number", "result"), FromOutput("number_2", "result"))
    )
    assert steps["defaulted.add"].inputs["x"] == FromDefault(5)


def test_an_order_alone_that_nobody_gives_is_no_input():
    @job
    def j():
        notify()

    assert plan_of(j).steps[0].inputs == {}


def test_tags_of_the_placing_win_over_those_of_the_op():
    @op(tags={"a": "1", "b": "1"})
    def tagged(): ...

    @job
    def j():
        tagged()
        tagged.tag({"b": "2"})()

    assert [dict(step.tags) for step in plan_of(j).steps] == [{"a": "1", "b": "1"}, {"a": "1", "b": "2"}]


# --- progress


def keys(items):
    return [f"skip {one.step.key}" if isinstance(one, Skip) else one.key for one in items]


def done(*outputs: str):
    return Outcome("succeeded", frozenset(outputs))


@job
def diamond():
    a = number.alias("a")()
    total.alias("d")([add.alias("b")(a), add.alias("c")(a)])


def test_steps_are_ready_when_all_that_they_wait_for_has_ended():
    progress = Progress(plan_of(diamond))
    assert keys(progress.advance()) == ["a"]
    assert keys(progress.advance()) == []
    progress.settle("a", done("result"))
    assert keys(progress.advance()) == ["b", "c"]
    progress.settle("b", done("result"))
    assert keys(progress.advance()) == []
    progress.settle("c", done("result"))
    assert keys(progress.advance()) == ["d"]


def test_a_failure_skips_all_that_follows_at_once():
    progress = Progress(plan_of(diamond))
    list(progress.advance())
    progress.settle("a", Outcome("failed", failed_by="a"))
    assert keys(progress.advance()) == ["skip b", "skip c", "skip d"]
    assert {key: outcome.failed_by for key, outcome in progress.outcomes.items()} == dict.fromkeys("abcd", "a")


def test_a_failed_step_lends_nothing_even_if_it_produced_an_output_before():
    progress = Progress(plan_of(diamond))
    list(progress.advance())
    progress.settle("a", Outcome("failed", frozenset({"result"}), failed_by="a"))
    assert keys(progress.advance()) == ["skip b", "skip c", "skip d"]


def test_a_fan_in_runs_with_what_there_is_unless_a_failure_is_involved():
    @job
    def j():
        parts = split()
        total.alias("t")([parts.a, parts.b])

    progress = Progress(plan_of(j))
    list(progress.advance())
    progress.settle("split", done("a"))
    assert keys(progress.advance()) == ["t"]
    assert progress.available(FromOutput("split", "a"))
    assert not progress.available(FromOutput("split", "b"))


def test_an_order_after_a_skipped_step_is_skipped_too():
    @job
    def j():
        notify.alias("n")(start=add.alias("x")(split().a))

    progress = Progress(plan_of(j))
    list(progress.advance())
    progress.settle("split", done())
    skips = list(progress.advance())
    assert [(one.step.key, one.reason) for one in skips if isinstance(one, Skip)] == [
        ("x", "output 'a' of 'split' was not produced"),
        ("n", "upstream step 'x' was skipped"),
    ]
