"""What one layer of run-pod config may say."""

import pytest
from dagwire_launcher.kubernetes.podconfig import PodConfigError, read_layer


def test_both_spellings_are_read_and_kubernetes_own_is_kept():
    layer = {
        "image_pull_policy": "Always",
        "nodeSelector": {"my_label": "x"},
        "env_from": [{"config_map_ref": {"name": "a"}}],
        "security_context": {"run_as_user": 5},
    }
    assert read_layer(layer) == {
        "imagePullPolicy": "Always",
        "nodeSelector": {"my_label": "x"},
        "envFrom": [{"configMapRef": {"name": "a"}}],
        "securityContext": {"runAsUser": 5},
    }


def test_numbers_are_read_as_quantities():
    layer = {"resources": {"limits": {"cpu": 2, "memory": "1Gi"}}}
    assert read_layer(layer) == {"resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}
    raw = {"containerConfig": {"resources": {"requests": {"cpu": 0.5}}}}
    assert read_layer(raw) == {"containerConfig": {"resources": {"requests": {"cpu": "0.5"}}}}


def test_a_name_will_do_where_kubernetes_wants_an_object_with_a_name():
    assert read_layer({"envSecrets": [{"name": "a"}, "b"]}) == {"envSecrets": ["a", "b"]}


def test_raw_parts_need_not_be_whole():
    layer = {
        "containerConfig": {"tty": True},
        "podSpecConfig": {"hostNetwork": False},
        "jobSpecConfig": {"suspend": True},
    }
    assert read_layer(layer) == layer


@pytest.mark.parametrize(
    ("layer", "fault"),
    [
        ({"imge": "x"}, "imge: there is no such field"),
        ({"resources": {"limit": {}}}, "resources.limit: there is no such field"),
        ({"env": [{"name": "A", "value": 1}]}, "env[0].value: input should be a valid string"),
        ({"env": [{"value": "1"}]}, "env[0].name: field required"),
        ({"volumes": [{"name": "v", "emptyDirs": {}}]}, "volumes[0].emptyDirs: there is no such field"),
        ({"tolerations": {}}, "tolerations: input should be a valid list"),
        ({"mergeBehavior": "deep"}, "mergeBehavior: input should be 'DEEP' or 'SHALLOW'"),
        ({"containerConfig": {"command": ["sh"]}}, "containerConfig: command cannot be set: the launcher does"),
        ({"pod_spec_config": {"restart_policy": "Always"}}, "podSpecConfig: restart_policy cannot be set"),
        ({"jobSpecConfig": {"backoffLimit": 3}}, "jobSpecConfig: backoffLimit cannot be set: only"),
        ({"env": [{"name": "DAGWIRE_WORKER_NATS_URL", "value": "x"}]}, "env: DAGWIRE_WORKER_NATS_URL cannot be set"),
        ({"ttlSecondsAfterFinished": -1}, "ttlSecondsAfterFinished: input should be greater than or equal to 0"),
    ],
)
def test_what_is_not_valid_is_named_with_its_place(layer, fault):
    with pytest.raises(PodConfigError) as caught:
        read_layer(layer)
    assert fault in str(caught.value)


def test_every_fault_is_named_at_once():
    with pytest.raises(PodConfigError) as caught:
        read_layer({"imge": "x", "env": [{"value": "1"}]})
    assert str(caught.value).count("\n") == 1
