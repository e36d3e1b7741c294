"""Which layers make a worker's pod, in which order, and what user code may say."""

import pytest
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.kubernetes.layers import SAFE, RunConfig
from dagwire_launcher.kubernetes.podconfig import FIELDS
from dagwire_shared.commands import RunCode
from dagwire_shared.errors import SettingsError
from dagwire_shared.ids import run_id_for
from dagwire_shared.records import CodePointer
from support.launching import an_order

POINTER = CodePointer(python_file="repo.py", working_directory="/app", executable="python")


def order(context=None, config=None):
    code = RunCode(pointer=POINTER, image="i", container_context=context or {}, container_config=config or {})
    return an_order(run_id_for("k"), code=code)


def test_later_layers_win():
    layers = [{"default": {"image": "1"}}]
    layers.append({**layers[0], "locations": {"here": {"image": "2"}, "elsewhere": {"image": "no"}}})
    assert RunConfig(layers[0]).of(order())["image"] == "1"
    assert RunConfig(layers[1]).of(order())["image"] == "2"
    assert RunConfig(layers[1]).of(order({"k8s": {"image": "3"}}))["image"] == "3"
    assert RunConfig(layers[1]).of(order({"k8s": {"image": "3"}}, {"image": "4"}))["image"] == "4"


def test_what_is_said_of_other_platforms_is_none_of_ours():
    assert RunConfig().of(order({"docker": {"anything": 1}})) == {}


@pytest.mark.parametrize(
    ("context", "config", "layer"),
    [({"k8s": {"volumes": []}}, None, "code location here"), (None, {"service_account_name": "admin"}, "job")],
)
def test_user_code_may_not_set_what_the_file_does_not_allow(context, config, layer):
    with pytest.raises(LaunchRefusedError, match=rf"of the {layer} sets (volumes|serviceAccountName), which user code"):
        RunConfig().of(order(context, config))


def test_user_code_may_set_what_the_file_allows():
    assert RunConfig({"allow": "*"}).of(order(config={"serviceAccountName": "a"}))["serviceAccountName"] == "a"
    assert RunConfig({"allow": ["priority_class_name"]}).of(order(config={"priorityClassName": "p"}))
    with pytest.raises(LaunchRefusedError, match="sets resources"):
        RunConfig({"allow": ["image"]}).of(order(config={"resources": {}}))


def test_by_default_user_code_reads_no_secret_through_a_variable():
    secret = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
    with pytest.raises(LaunchRefusedError, match="env with valueFrom"):
        RunConfig().of(order(config=secret))
    assert RunConfig({"allow": ["env", "envFrom"]}).of(order(config=secret)) == secret


def test_what_user_code_says_wrong_refuses_its_run_and_names_the_layer():
    with pytest.raises(LaunchRefusedError, match=r"of the job is not valid:\nresources\.limit: there is no such field"):
        RunConfig().of(order(config={"resources": {"limit": {}}}))
    with pytest.raises(LaunchRefusedError, match="of the code location here is not valid"):
        RunConfig().of(order({"k8s": ["image"]}))


def test_the_operators_file_is_read(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("kubernetes:\n  default: {image: a}\ndocker: {memory: 1g}\n")
    assert RunConfig.read(file).of(order()) == {"image": "a"}
    assert RunConfig.read(None).of(order()) == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("kubernetes: {default: {imge: a}, locations: {x: {env: 1}}}", "default.imge: there is no such field"),
        ("kubernetes: {defaults: {}}", "defaults: Extra inputs are not permitted"),
        ("kubernetes: {allow: [secrets]}", "allow: there is no field secrets"),
        ("kubernets: {}", "has no section kubernets: its sections are docker, kubernetes"),
        ("[]", "must be a mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong_in_it(tmp_path, text, fault):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        RunConfig.read(file)
    assert fault in str(caught.value)
    assert str(file) in str(caught.value)


def test_what_is_safe_is_a_part_of_what_there_is():
    assert set(SAFE) < set(FIELDS)
