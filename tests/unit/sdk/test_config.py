"""Run config: its shape, its JSON Schema, its defaults, and every fault at once."""

import datetime as dt
from enum import Enum
from typing import Any

import jsonschema
import pytest
from dagwire import (
    Config,
    DefinitionError,
    Field,
    InvalidConfigError,
    PermissiveConfig,
    Preset,
    RunConfig,
    graph,
    job,
    k8s_job_executor,
    kubernetes_executor,
    multiprocess_executor,
    op,
    resource,
)
from dagwire.config import merge_config
from pydantic import Field as PydanticField
from pydantic import SecretStr


class Colour(Enum):
    RED = "red"


class Inner(Config):
    depth: int = 1


class Load(Config):
    station: str
    """Which station."""
    limit: int = PydanticField(default=10, ge=1)
    since: dt.date | None = None
    colour: Colour = Colour.RED
    inner: Inner = Inner()


@op
def load(config: Load) -> int:
    """Load rows."""
    return config.limit


@op
def add(x: int, y: int = 1) -> int:
    return x + y


@op(config_schema={"path": str, "rows": Field(int, default_value=5), "note": Field(str, is_required=False)})
def write(context, x: int) -> dict[str, Any]:
    return context.op_config


@resource(config_schema={"url": str})
def db(context):
    return context.resource_config["url"]


@graph
def inner(x: int):
    return write(x)


@job(resource_defs={"db": db})
def nested():
    inner(load())


WHOLE = {
    "ops": {
        "load": {"config": {"station": "a"}},
        "inner": {"ops": {"write": {"config": {"path": "p"}}}},
    },
    "resources": {"db": {"config": {"url": "u"}}},
}


def faults(definition, config, **options: Any):
    with pytest.raises(InvalidConfigError) as caught:
        definition.resolve_config(config, **options)
    return {".".join(fault.path): fault.message for fault in caught.value.faults}


def test_defaults_are_filled_in_and_values_are_what_ops_get():
    resolved = nested.resolve_config(WHOLE)
    assert resolved.run_config["ops"]["load"]["config"] == {
        "station": "a",
        "limit": 10,
        "since": None,
        "colour": "red",
        "inner": {"depth": 1},
    }
    assert resolved.run_config["ops"]["inner"]["ops"]["write"]["config"] == {"path": "p", "rows": 5, "note": None}
    assert resolved.ops["load",] == Load(station="a")
    assert resolved.resources["db"].url == "u"


def test_an_op_gets_its_config_as_it_declared_it():
    result = nested.execute_in_process(WHOLE)
    assert result.output_for_node("load") == 10
    assert result.output_for_node("inner.write") == {"path": "p", "rows": 5, "note": None}


def test_all_faults_are_told_at_once_each_with_its_path():
    config = {
        "ops": {
            "load": {"config": {"limit": "3", "colour": "blue", "inner": {"depht": 2}}},
            "lod": {},
            "inner": {"config": {}, "ops": {"write": {"config": {"path": 3}}}},
        },
        "resource": {},
    }
    assert faults(nested, config) == {
        "resource": "there is no 'resource' here; did you mean 'resources'?",
        "ops.lod": "there is no 'lod' here; did you mean 'load'?",
        "ops.load.config.station": "Field required",
        "ops.load.config.limit": "Input should be a valid integer",
        "ops.load.config.colour": "Input should be 'red'",
        "ops.load.config.inner.depht": "Extra inputs are not permitted",
        "ops.inner.config": "there is no 'config' here; possible: ops",
        "ops.inner.ops.write.config.path": "Input should be a valid string",
        "resources.db.config": "a value is required here",
    }


def test_the_message_lists_the_faults_line_by_line():
    with pytest.raises(InvalidConfigError, match=r"does not fit job 'nested':\n  ops.zzz: there is no 'zzz' here"):
        nested.resolve_config({**WHOLE, "ops": {**WHOLE["ops"], "zzz": {}}})


def test_what_is_no_mapping_is_a_fault():
    assert faults(nested, {**WHOLE, "ops": [1]}) == {"ops": "this is a mapping, not list"}


def test_an_empty_section_may_be_written_as_null():
    @job
    def j():
        add(add(1) if False else load())

    config = {"ops": {"load": {"config": {"station": "a"}}, "add": None}, "resources": None}
    assert j.resolve_config(config).run_config["ops"].keys() == {"load"}


def test_limits_of_fields_hold():
    assert faults(nested, merge_config(WHOLE, {"ops": {"load": {"config": {"limit": 0}}}})) == {
        "ops.load.config.limit": "Input should be greater than or equal to 1"
    }


def test_dates_and_enums_are_written_as_json():
    config = merge_config(WHOLE, {"ops": {"load": {"config": {"since": "2024-02-29", "colour": "red"}}}})
    resolved = nested.resolve_config(config)
    assert resolved.ops["load",].since == dt.date(2024, 2, 29)
    assert resolved.run_config["ops"]["load"]["config"]["since"] == "2024-02-29"


def test_a_run_config_in_python_terms_is_the_same():
    config = RunConfig(
        ops={"load": Load(station="a", since=dt.date(2024, 1, 1)), "inner": WHOLE["ops"]["inner"]},
        resources={"db": {"config": {"url": "u"}}},
    )
    assert config.to_config_dict() == {
        "ops": {
            "load": {"config": {"station": "a", "since": "2024-01-01"}},
            "inner": {"ops": {"write": {"config": {"path": "p"}}}},
        },
        "resources": {"db": {"config": {"url": "u"}}},
    }
    assert nested.resolve_config(config).ops["load",].since == dt.date(2024, 1, 1)


def test_secrets_are_not_shown():
    class Secret(Config):
        token: SecretStr

    seen = []

    @op
    def use(config: Secret) -> None:
        seen.append(config.token.get_secret_value())

    @job
    def j():
        use()

    result = j.execute_in_process({"ops": {"use": {"config": {"token": "hush"}}}})
    assert seen == ["hush"]
    assert "hush" not in "".join(event.model_dump_json() for event in result.events)


def test_a_secret_default_is_not_among_the_defaults_that_people_edit():
    class Login(Config):
        user: str = "me"
        password: SecretStr = SecretStr("hush")

    seen = []

    @op
    def use(config: Login) -> None:
        seen.append(config.password.get_secret_value())

    @job
    def j():
        use()

    assert j.default_run_config() == {"ops": {"use": {"config": {"user": "me"}}}}
    j.execute_in_process(j.default_run_config())
    assert seen == ["hush"]


def test_a_permissive_config_takes_more_fields():
    class Loose(PermissiveConfig):
        known: int = 1

    @op
    def use(config: Loose) -> dict[str, Any]:
        return config.model_dump()

    @job
    def j():
        use()

    result = j.execute_in_process({"ops": {"use": {"config": {"other": 2}}}})
    assert result.output_for_node("use") == {"known": 1, "other": 2}


def test_a_config_may_be_a_plain_value():
    @op
    def use(config: int) -> int:
        return config

    @job
    def j():
        use()

    assert j.execute_in_process({"ops": {"use": {"config": 3}}}).output_for_node("use") == 3
    assert faults(j, {}) == {"ops.use.config": "a value is required here"}
    assert faults(j, {"ops": {"use": {"config": "3"}}}) == {"ops.use.config": "Input should be a valid integer"}


def test_the_json_schema_accepts_what_resolves_and_refuses_what_does_not():
    schema = nested.config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert not list(validator.iter_errors(WHOLE))
    assert not list(validator.iter_errors(nested.resolve_config(WHOLE).run_config))
    wrong = {"ops": {"load": {"config": {"limit": "3"}}}, "other": 1}
    assert {error.json_path for error in validator.iter_errors(wrong)} >= {"$", "$.ops", "$.ops.load.config"}


def test_the_json_schema_carries_descriptions_and_defaults():
    schema = nested.config_schema()
    assert schema["properties"]["ops"]["properties"]["load"]["description"] == "Load rows."
    definition = schema["$defs"]["Load"]
    assert definition["properties"]["station"]["description"] == "Which station."
    assert definition["properties"]["limit"]["default"] == 10
    assert schema["properties"]["ops"]["required"] == ["load", "inner"]


def test_two_config_classes_of_the_same_name_keep_apart():
    def make(field):
        class Same(Config):
            __annotations__ = {field: int}

        @op(name=f"use_{field}")
        def use(config: Same) -> None: ...

        return use

    one, two = make("a"), make("b")

    @job
    def j():
        one()
        two()

    config = {"ops": {"use_a": {"config": {"a": 1}}, "use_b": {"config": {"b": 1}}}}
    validator = jsonschema.Draft202012Validator(j.config_schema())
    assert not list(validator.iter_errors(config))
    assert list(validator.iter_errors({"ops": {"use_a": {"config": {"b": 1}}, "use_b": {"config": {"b": 1}}}}))
    j.resolve_config(config)


def test_the_default_run_config_has_every_default_and_leaves_out_what_must_be_given():
    assert nested.default_run_config() == {
        "ops": {
            "load": {"config": {"limit": 10, "since": None, "colour": "red", "inner": {"depth": 1}}},
            "inner": {"ops": {"write": {"config": {"rows": 5, "note": None}}}},
        }
    }


def test_the_jobs_own_config_is_part_of_the_default():
    @job(config=RunConfig(ops={"load": Load(station="b")}))
    def j():
        load()

    assert j.default_run_config()["ops"]["load"]["config"]["station"] == "b"
    assert j.resolve_config().ops["load",].station == "b"


def test_job_preset_and_run_are_laid_over_each_other():
    @job(
        config={"ops": {"load": {"config": {"station": "job", "limit": 1}}}},
        presets=[Preset("p", run_config=RunConfig(ops={"load": {"config": {"station": "preset"}}}))],
    )
    def j():
        load()

    def station_and_limit(config, preset):
        value = j.resolve_config(config, preset).ops["load",]
        return value.station, value.limit

    assert station_and_limit({}, None) == ("job", 1)
    assert station_and_limit({}, "p") == ("preset", 1)
    assert station_and_limit({"ops": {"load": {"config": {"limit": 9}}}}, "p") == ("preset", 9)
    assert faults(j, {}, preset="q") == {"preset": "there is no preset 'q'; its presets are: p"}


def test_lists_are_replaced_not_merged():
    assert merge_config({"a": [1, 2], "b": {"c": 1}}, {"a": [3], "b": {"d": 2}}) == {"a": [3], "b": {"c": 1, "d": 2}}


def test_a_wrong_preset_is_refused_when_the_job_is_defined():
    with pytest.raises(InvalidConfigError, match=r"job 'j', preset 'p':\n  ops.load.config.limit: Input should be a"):

        @job(presets=[Preset("p", run_config={"ops": {"load": {"config": {"limit": "many"}}}})])
        def j():
            load()


def test_a_preset_may_leave_open_what_the_launch_gives():
    @job(presets=[Preset("p", run_config={"ops": {"load": {"config": {"limit": 2}}}})])
    def j():
        load()

    assert faults(j, {}, preset="p") == {"ops.load.config.station": "Field required"}


def test_a_wrong_config_of_the_job_itself_is_refused_when_it_is_defined():
    with pytest.raises(InvalidConfigError, match=r"job 'j', its config:\n  ops.lod: there is no 'lod' here"):

        @job(config={"ops": {"lod": {}}})
        def j():
            load()


def test_inputs_that_nothing_feeds_come_from_the_config():
    @job
    def j():
        add()

    assert faults(j, {}) == {"ops.add.inputs.x": "a value is required here"}
    assert j.execute_in_process({"ops": {"add": {"inputs": {"x": 1}}}}).output_for_node("add") == 2
    assert j.execute_in_process({"ops": {"add": {"inputs": {"x": 1, "y": 5}}}}).output_for_node("add") == 6
    assert faults(j, {"ops": {"add": {"inputs": {"x": "1"}}}}) == {
        "ops.add.inputs.x": "Input should be a valid integer"
    }


def test_inputs_of_the_jobs_graph_come_from_the_config():
    @graph
    def g(x: int, y: int = 7):
        return add(x, y)

    j = g.to_job()
    assert j.execute_in_process({"inputs": {"x": 1}}).output_value() == 8
    assert j.execute_in_process({"inputs": {"x": 1, "y": 1}}).output_value() == 2
    assert faults(j, {}) == {"inputs.x": "a value is required here"}


def test_inputs_of_a_nested_graph_that_nothing_feeds_come_from_the_config():
    @graph
    def g(x: int):
        return add(add(x), x)

    @job
    def j():
        g()

    result = j.execute_in_process({"ops": {"g": {"inputs": {"x": 1}}}})
    assert result.output_for_node("g.add_2") == 3


def test_the_executor_takes_config_where_it_has_some():
    @job(executor_def=multiprocess_executor)
    def j():
        add.alias("a")(load())

    config = {"ops": {"load": {"config": {"station": "a"}}}}
    assert j.resolve_config(config).execution.max_concurrent == 0
    chosen = {**config, "execution": {"config": {"max_concurrent": 3, "reuse_processes": False}}}
    assert j.resolve_config(chosen).execution.limit == 3
    assert faults(j, {**config, "execution": {"config": {"max_concurrent": -1}}}) == {
        "execution.config.max_concurrent": "Input should be greater than or equal to 0"
    }
    assert faults(nested, {**WHOLE, "execution": {"config": {}}}) == {
        "execution.config": "there is no 'config' here; possible: nothing"
    }


def test_an_executor_may_have_other_defaults():
    @job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}))
    def j():
        add.alias("a")(load())

    assert j.default_run_config()["execution"] == {"config": {"max_concurrent": 2, "reuse_processes": True}}
    config = {"ops": {"load": {"config": {"station": "a"}}}, "execution": {"config": {"reuse_processes": False}}}
    chosen = j.resolve_config(config).execution
    assert (chosen.limit, chosen.reuse_processes) == (2, False)


def test_a_value_that_json_cannot_express_is_a_fault():
    @job
    def j():
        add()

    with pytest.raises(InvalidConfigError, match=r"ops\.add\.inputs\.x"):
        j.resolve_config({"ops": {"add": {"inputs": {"x": float("nan")}}}})


def test_a_field_of_a_config_schema_needs_a_type_that_has_a_schema():
    with pytest.raises(DefinitionError, match="op 'f'"):

        @op(config_schema={"thing": object.__subclasses__})
        def f(context): ...


@op
def idle():
    pass


def test_the_kubernetes_executor_takes_the_fields_that_moved_code_sets():
    @job(
        executor_def=k8s_job_executor.configured(
            {"job_image": "example:1", "env_vars": ["A=b=c"], "step_k8s_config": {"labels": {"team": "a"}}}
        )
    )
    def j():
        idle()

    execution = j.resolve_config({"execution": {"config": {"max_concurrent": 3}}}).execution
    assert execution.limit == 3
    assert execution.step_k8s_config == {
        "image": "example:1",
        "env": [{"name": "A", "value": "b=c"}],
        "labels": {"team": "a"},
    }


@pytest.mark.parametrize(
    ("config", "words"),
    [({"env_vars": ["HOME"]}, "write HOME=value"), ({"retries": {}}, "retries"), ({"max_concurrent": -1}, "greater")],
)
def test_what_the_kubernetes_executor_does_not_take_is_named(config, words):
    with pytest.raises(ValueError, match=words):
        kubernetes_executor.configured(config)


def test_the_kubernetes_executor_limits_nothing_by_itself():
    @job(executor_def=kubernetes_executor)
    def j():
        idle()

    assert j.resolve_config().execution.limit is None
