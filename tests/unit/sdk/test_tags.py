"""Tags: labels, and what pods shall be like."""

import json
from typing import Any

import pytest
from dagwire import DefinitionError, Preset, RunRequest, ScheduleDefinition, graph, job, op
from dagwire.tags import LARGEST_CONFIG, read_tags

MEMORY = {"resources": {"limits": {"memory": "1Gi"}}}
FAST = {"nodeSelector": {"disk": "fast"}}


@op
def load() -> int:
    return 1


@pytest.mark.parametrize("key", ["dagwire/kubernetes", "dagster-k8s/config"])
@pytest.mark.parametrize("value", [MEMORY, json.dumps(MEMORY)])
def test_what_a_jobs_pods_shall_be_like_is_no_tag_of_its_runs(key: str, value: Any):
    @job(tags={key: value, "team": "data"})
    def etl():
        load()

    assert dict(etl.tags) == {"team": "data"}
    assert etl.container_config == MEMORY


def test_a_job_that_says_nothing_of_pods_has_nothing():
    @job
    def etl():
        load()

    assert etl.container_config is None
    assert etl.plan(etl.resolve_config()).steps[0].container_configs == ()


def test_a_graph_says_it_for_the_jobs_made_of_it_unless_they_do():
    @graph(tags={"dagwire/kubernetes": MEMORY, "team": "data"})
    def both():
        load()

    assert both.to_job().container_config == MEMORY
    assert both.to_job(tags={"size": "s"}).container_config == MEMORY
    assert both.to_job(tags={"dagwire/kubernetes": FAST}).container_config == FAST


def test_a_job_keeps_it_when_it_is_given_resources():
    @op(required_resource_keys={"db"})
    def read(): ...

    @job(tags={"dagwire/kubernetes": MEMORY})
    def etl():
        read()

    assert etl.with_resources({"db": 1}).container_config == MEMORY


def test_steps_have_what_the_graphs_around_them_say_and_then_their_op():
    @op(tags={"dagwire/kubernetes": MEMORY})
    def heavy(): ...

    @graph(tags={"dagwire/kubernetes": FAST})
    def inner():
        load()
        heavy()

    @job
    def etl():
        inner()
        heavy()
        heavy.tag({"dagwire/kubernetes": FAST}).alias("tagged")()
        heavy.alias("reset").tag({"dagwire/kubernetes": {}})()

    steps = {step.key: list(step.container_configs) for step in etl.plan(etl.resolve_config()).steps}
    assert steps == {
        "inner.load": [FAST],
        "inner.heavy": [FAST, MEMORY],
        "heavy": [MEMORY],
        "tagged": [FAST],
        "reset": [],
    }


def test_labels_of_a_node_are_laid_over_its_ops():
    @op(tags={"kind": "io", "dagwire/kubernetes": MEMORY})
    def read(): ...

    @job
    def etl():
        read.tag({"slow": "yes"}).tag({"kind": "cpu"}).alias("one")()

    (node,) = etl.graph.nodes.values()
    assert (dict(node.tags), node.container_config) == ({"kind": "cpu", "slow": "yes"}, MEMORY)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "no JSON"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("[]", r"a mapping of fields, or its JSON, not \[\] \(a list\)"),
        (7, r"not 7 \(a int\)"),
        ({"env": [{"name": {1, 2}}]}, r"at env\.0\.name: .* \(a set\) is not JSON"),
        ({"limits": {1: "x"}}, "at limits: the key 1 is not text"),
        ({"cpu": float("inf")}, r"at cpu: inf \(a float\) is not JSON"),
        ({"a": "x" * LARGEST_CONFIG}, "at most 32768 are taken"),
    ],
)
def test_what_is_no_json_is_refused_where_it_is_written(value: Any, message: str):
    with pytest.raises(DefinitionError, match=rf"op 'load'.*tag 'dagwire/kubernetes'.*{message}"):
        op(name="load", tags={"dagwire/kubernetes": value})(lambda: None)


def test_a_config_in_a_circle_is_refused():
    circle: dict[str, Any] = {}
    circle["a"] = circle
    with pytest.raises(DefinitionError, match="nested deeper than 32 levels"):
        read_tags({"dagwire/kubernetes": circle}, "op 'load'")


def test_both_names_at_once_are_refused():
    with pytest.raises(DefinitionError, match="say the same; keep one"):
        read_tags({"dagwire/kubernetes": {}, "dagster-k8s/config": {}}, "op 'load'")


def test_a_later_change_of_the_mapping_changes_nothing():
    mine = {"resources": {"limits": {"memory": "1Gi"}}}
    tags = read_tags({"dagwire/kubernetes": mine}, "op 'load'")
    mine["resources"]["limits"]["memory"] = "9Gi"
    assert tags.container_config == MEMORY


def test_where_it_would_do_nothing_it_is_refused():
    @job
    def etl():
        load()

    tags = {"dagster-k8s/config": json.dumps(MEMORY)}
    for define in (
        lambda: Preset("small", tags=tags),
        lambda: RunRequest(tags=tags),
        lambda: ScheduleDefinition(job=etl, cron_schedule="@daily", tags=tags),
    ):
        with pytest.raises(DefinitionError, match="belongs on a job, a graph or an op"):
            define()
