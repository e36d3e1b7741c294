import json
import os
import subprocess
import sys

import pytest
from dagwire import Config, job, op, repository
from dagwire.codeserver import snapshot
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from support.definitions import team, weather


@pytest.fixture
def described() -> pb.Job:
    return snapshot.job(weather)


def node(job_: pb.Job, name: str) -> pb.Node:
    return next(one for one in job_.nodes if one.name == name)


def test_a_job_is_told_with_description_tags_and_executor(described):
    assert (described.name, described.description, described.executor) == (
        "weather",
        "Reads the weather.",
        "in_process",
    )
    assert dict(described.tags) == {"team": "data"}


def test_nodes_come_in_topological_order(described):
    assert [one.name for one in described.nodes] == ["load", "ready", "branch", "merge", "tidy"]


def test_an_op_is_told_with_its_tags_resources_and_outputs(described):
    load = node(described, "load")

    assert dict(load.tags) == {"kind": "io", "slow": "yes"}
    assert list(load.required_resources) == ["store"]
    assert [(one.name, one.type, one.required) for one in load.outputs] == [("result", "list[int]", True)]


def test_an_op_with_config_has_its_json_schema_and_one_without_has_none(described):
    schema = json.loads(node(described, "load").config_schema_json)

    assert schema["properties"]["limit"] == {
        "default": 10,
        "description": "How many rows.",
        "title": "Limit",
        "type": "integer",
    }
    assert schema["required"] == ["station"]
    assert node(described, "branch").config_schema_json == ""


def test_an_optional_output_is_not_required(described):
    outputs = {one.name: one for one in node(described, "branch").outputs}

    assert not outputs["few"].required
    assert outputs["few"].description == "When there are few."


def test_an_input_names_what_feeds_it(described):
    inputs = {one.name: one for one in node(described, "merge").inputs}

    assert [(one.node, one.output) for one in inputs["parts"].upstream] == [("branch", "few"), ("branch", "many")]
    assert not inputs["factor"].upstream
    assert inputs["factor"].has_default


def test_an_input_that_only_orders_is_told_as_nothing(described):
    after = node(described, "tidy").inputs[0]

    assert (after.type, after.upstream[0].node) == ("Nothing", "merge")


def test_a_graph_holds_its_nodes_under_its_alias(described):
    ready = node(described, "ready")

    assert (ready.definition, ready.description) == ("prepared", "Clean rows.")
    assert [one.name for one in ready.nodes] == ["clean"]
    assert [(one.node, one.output) for one in ready.nodes[0].inputs[0].upstream] == [("", "rows")]


def test_presets_and_resources_are_told(described):
    preset, resource = described.presets[0], described.resources[0]

    assert (preset.name, preset.description, dict(preset.tags)) == ("berlin", "The Berlin station", {"city": "berlin"})
    assert json.loads(preset.run_config_json)["ops"] == {"load": {"config": {"station": "berlin"}}}
    assert (resource.name, resource.description) == ("store", "Where tables are.")
    assert json.loads(resource.config_schema_json)["required"] == ["path"]


def test_the_run_config_is_told_as_schema_and_defaults(described):
    assert json.loads(described.config_schema_json)["required"] == ["ops", "resources"]
    assert json.loads(described.default_run_config_json) == {"ops": {"load": {"config": {"limit": 10}}}}


def test_a_schedule_is_told():
    told = snapshot.repository(team).schedules[0]

    assert (told.name, told.job, told.preset, list(told.cron_schedules)) == (
        "daily",
        "weather",
        "berlin",
        ["0 6 * * *"],
    )
    assert (told.execution_timezone, told.default_running) == ("Europe/Berlin", False)
    assert told.catch_up == pb.CATCH_UP_ALL


def test_a_schedule_without_preset_has_none():
    from dagwire import ScheduleDefinition  # noqa: PLC0415

    assert not snapshot.schedule(ScheduleDefinition(job=weather, cron_schedule="@daily")).HasField("preset")


def test_a_repository_holds_the_resources_of_its_jobs_once():
    other = weather.graph

    @op(required_resource_keys={"store"})
    def also(): ...

    @job(resource_defs=weather.resource_defs)
    def second():
        also()

    @repository
    def both():
        return [weather, second]

    assert [one.name for one in snapshot.repository(both).resources] == ["store"]
    assert other is weather.graph


def test_every_repository_carries_the_hash_of_all():
    @op
    def one(): ...

    @job
    def small():
        one()

    @repository
    def other():
        return [small]

    repositories, digest = snapshot.describe([team, other])

    assert list(repositories) == ["other", "team"]
    assert {found.definitions_hash for found in repositories.values()} == {digest}
    assert len(digest) == 64


def test_the_hash_is_the_same_in_every_process():
    code = (
        "from support.definitions import team\nfrom dagwire.codeserver import snapshot\n"
        "print(snapshot.describe([team])[1])"
    )
    environment = {**os.environ, "PYTHONPATH": "tests"}

    def digest(seed: str) -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, env={**environment, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout

    assert digest("1") == digest("2")


def hash_of(limit: int, description: str = "") -> str:
    class Limits(Config):
        limit: int = 3

    Limits.model_fields["limit"].default = limit
    Limits.model_rebuild(force=True)

    @op
    def load(config: Limits): ...

    @job(name="j", description=description)
    def made():
        load()

    @repository
    def team_():
        return [made]

    return snapshot.describe([team_])[1]


def test_a_changed_default_or_description_changes_the_hash():
    assert hash_of(3) == hash_of(3)
    assert len({hash_of(3), hash_of(4), hash_of(3, "new")}) == 3


def test_what_pods_shall_be_like_is_told_as_json_and_changes_the_hash():
    def described(memory: str | None) -> tuple[pb.Job, str]:
        tags = {} if memory is None else {"dagwire/kubernetes": {"resources": {"limits": {"memory": memory}}}}

        @op(tags=tags)
        def load(): ...

        @job(tags=tags)
        def etl():
            load()
            load.alias("other").tag({"dagwire/kubernetes": {"nodeSelector": {"disk": "fast"}}})()

        @repository
        def team_():
            return [etl]

        repositories, digest = snapshot.describe([team_])
        return repositories["team_"].jobs[0], digest

    told, digest = described("1Gi")
    assert json.loads(told.container_config_json) == {"resources": {"limits": {"memory": "1Gi"}}}
    assert json.loads(node(told, "load").container_config_json) == {"resources": {"limits": {"memory": "1Gi"}}}
    assert json.loads(node(told, "other").container_config_json) == {"nodeSelector": {"disk": "fast"}}
    assert not told.tags
    assert digest != described("2Gi")[1]
    silent = described(None)[0]
    assert (silent.container_config_json, node(silent, "load").container_config_json) == ("", "")


def test_what_json_cannot_express_is_shown_as_text():
    assert snapshot.to_json({"at": object}).startswith('{"at":"<class')
