"""Resources: set up before the ops that need them, torn down after, whatever happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dagwire import (
    ConfigurableResource,
    DefinitionError,
    EnvVar,
    ExecutionError,
    Field,
    ResourceDefinition,
    ResourceParam,
    job,
    op,
    resource,
)
from dagwire_shared.events import EngineNoted, LogLevel, RunFailed, StepFailed
from pydantic import SecretStr


@op(required_resource_keys={"thing"})
def use(context) -> Any:
    return context.resources.thing


def run(definition, config=None, **options: Any):
    @job(resource_defs={"thing": definition})
    def j():
        use()

    wanted = {} if config is None else {"resources": {"thing": {"config": config}}}
    return j.execute_in_process(wanted, **options)


def test_a_resource_may_be_any_object():
    assert run({"a": 1}).output_for_node("use") == {"a": 1}


def test_a_function_with_or_without_a_context_makes_a_resource():
    @resource
    def plain():
        """What it is."""
        return 1

    @resource(config_schema={"n": Field(int, default_value=2)}, description="Given.")
    def configured(context):
        return context.resource_config["n"], context.run_id

    assert plain.description == "What it is."
    assert configured.description == "Given."
    assert run(plain).output_for_node("use") == 1
    result = run(configured, {"n": 5})
    assert result.output_for_node("use") == (5, result.run_id)
    assert run(configured).output_for_node("use")[0] == 2


def test_a_generator_is_set_up_before_and_torn_down_after_the_ops():
    seen = []

    @resource
    def thing():
        seen.append("up")
        yield "value"
        seen.append("down")

    assert run(thing).output_for_node("use") == "value"
    assert seen == ["up", "down"]


def test_a_resource_is_torn_down_when_an_op_fails():
    seen = []

    @resource
    def thing():
        yield 1
        seen.append("down")

    @op(required_resource_keys={"thing"})
    def fail():
        raise ValueError

    @job(resource_defs={"thing": thing})
    def j():
        fail()

    j.execute_in_process(raise_on_error=False)
    assert seen == ["down"]


def test_resources_get_those_that_they_need_and_are_torn_down_in_reverse():
    seen = []

    def make(name, needs=()):
        @resource(required_resource_keys=set(needs))
        def thing(context):
            seen.append(f"{name} up, has {[getattr(context.resources, key) for key in needs]}")
            yield name
            seen.append(f"{name} down")

        return thing

    @op(required_resource_keys={"top"})
    def ask(): ...

    @job(
        resource_defs={
            "top": make("top", ["middle"]),
            "middle": make("middle", ["bottom"]),
            "bottom": make("bottom"),
            "unused": make("unused"),
        }
    )
    def j():
        ask()

    j.execute_in_process()
    assert seen == [
        "bottom up, has []",
        "middle up, has ['bottom']",
        "top up, has ['middle']",
        "top down",
        "middle down",
        "bottom down",
    ]


def test_a_resource_that_cannot_be_set_up_ends_the_run_and_those_before_are_torn_down():
    seen = []

    @resource
    def first():
        yield 1
        seen.append("first down")

    @resource(required_resource_keys={"first"})
    def thing(context):
        raise ConnectionError("no route")

    @job(resource_defs={"first": first, "thing": thing})
    def j():
        use()

    with pytest.raises(ExecutionError, match="resource 'thing' could not be set up: ConnectionError: no route"):
        j.execute_in_process()
    result = j.execute_in_process(raise_on_error=False)
    (ended,) = [event for event in result.events if isinstance(event, RunFailed)]
    assert ended.cause == "run_error"
    assert ended.error is not None
    assert ended.error.cause is not None
    assert ended.error.cause.type == "ConnectionError"
    assert seen == ["first down", "first down"]


def test_a_failing_tear_down_is_noted_and_the_run_succeeds():
    @resource
    def thing():
        yield 1
        raise OSError("cannot close")

    result = run(thing)
    assert result.success
    (note,) = [event for event in result.events if isinstance(event, EngineNoted) and event.level is LogLevel.ERROR]
    assert note.message == "resource 'thing' could not be torn down: OSError: cannot close"


def test_a_generator_yields_exactly_once():
    @resource
    def never():
        yield from ()

    @resource
    def twice():
        yield 1
        yield 2

    with pytest.raises(ExecutionError, match="resource 'never' yields nothing"):
        run(never)
    notes = [event.message for event in run(twice).events if isinstance(event, EngineNoted)]
    assert any("resource 'twice' yields twice" in note for note in notes)


def test_a_hardcoded_resource_is_its_value():
    assert run(ResourceDefinition.hardcoded_resource(3)).output_for_node("use") == 3


class Server(ConfigurableResource):
    """Where tables are."""

    url: str
    """Where they are."""
    retries: int = 3


def test_a_resource_may_be_a_class_whose_fields_are_its_config():
    result = run(Server(url="u"))
    assert result.output_for_node("use") == Server(url="u")
    assert run(Server(url="u"), {"retries": 5}).output_for_node("use") == Server(url="u", retries=5)


def test_the_config_of_a_resource_class_is_shown_and_checked():
    @job(resource_defs={"thing": Server(url="u")})
    def j():
        use()

    assert j.default_run_config() == {"resources": {"thing": {"config": {"url": "u", "retries": 3}}}}
    assert j.resource_defs["thing"].description == "Where tables are."
    properties = j.config_schema()["$defs"]["Server"]["properties"]
    assert properties["retries"]["default"] == 3
    assert properties["url"]["description"] == "Where they are."


def test_an_op_takes_a_resource_as_a_typed_parameter():
    @op
    def ask(server: Server, number: ResourceParam[int]) -> str:
        return f"{server.url} {number}"

    @job(resource_defs={"server": Server(url="u"), "number": 4})
    def j():
        ask()

    assert j.execute_in_process().output_for_node("ask") == "u 4"


def test_a_resource_class_sets_itself_up_and_tears_itself_down():
    seen = []

    class Simple(ConfigurableResource):
        def setup_for_execution(self, context):
            seen.append(f"up {context.run_id is not None}")

        def teardown_after_execution(self, context):
            seen.append("down")

    class Block(ConfigurableResource):
        @contextmanager
        def yield_for_execution(self, context):
            seen.append("block up")
            yield self
            seen.append("block down")

    run(Simple())
    run(Block())
    assert seen == ["up True", "down", "block up", "block down"]


def test_a_resource_class_in_another_is_set_up_first():
    seen = []

    class Credentials(ConfigurableResource):
        user: str

        def setup_for_execution(self, context):
            seen.append(f"credentials of {self.user}")

    class Client(ConfigurableResource):
        credentials: Credentials
        region: str = "eu"

        def setup_for_execution(self, context):
            seen.append(f"client in {self.region}")

    result = run(Client(credentials=Credentials(user="me")), {"region": "us"})
    assert result.output_for_node("use").credentials.user == "me"
    assert seen == ["credentials of me", "client in us"]


class Login(ConfigurableResource):
    user: str
    password: str = ""
    port: int = 1


def test_an_environment_variable_is_read_at_set_up_and_never_shown(monkeypatch):
    definition = Login(user="me", password=EnvVar("LOGIN_PASSWORD"), port=EnvVar("LOGIN_PORT"))
    monkeypatch.setenv("LOGIN_PASSWORD", "hush")
    monkeypatch.setenv("LOGIN_PORT", "5432")
    result = run(definition)
    assert result.output_for_node("use") == Login(user="me", password="hush", port=5432)
    assert "hush" not in "".join(event.model_dump_json() for event in result.events)


def test_an_environment_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("LOGIN_PASSWORD", raising=False)
    with pytest.raises(ExecutionError, match="resource Login needs the environment variable 'LOGIN_PASSWORD'"):
        run(Login(user="me", password=EnvVar("LOGIN_PASSWORD")))


def test_a_resource_class_with_environment_variables_still_checks_its_fields():
    with pytest.raises(DefinitionError, match="resource Login has no field 'passwort'"):
        Login(user="me", passwort=EnvVar("X"))
    with pytest.raises(DefinitionError, match="resource Login needs the field 'user'"):
        Login(password=EnvVar("X"))


def test_a_secret_in_a_resources_config_is_not_shown():
    class Api(ConfigurableResource):
        token: SecretStr

    result = run(Api(token=SecretStr("hush")))
    assert result.output_for_node("use").token.get_secret_value() == "hush"
    assert "hush" not in "".join(event.model_dump_json() for event in result.events)


def test_a_field_without_a_schema_stays_as_it_is():
    class Opaque: ...

    class Holder(ConfigurableResource):
        thing: Opaque
        size: int = 1

    opaque = Opaque()
    assert run(Holder(thing=opaque), {"size": 2}).output_for_node("use").thing is opaque


def test_a_resource_is_ready_once_for_all_ops_of_a_run():
    made = []

    @resource
    def thing() -> Iterator[int]:
        made.append(1)
        yield len(made)

    @job(resource_defs={"thing": thing})
    def j():
        use()
        use()

    result = j.execute_in_process()
    assert (result.output_for_node("use"), result.output_for_node("use_2")) == (1, 1)
    assert not [event for event in result.events if isinstance(event, StepFailed)]
