"""How one piece of configuration is laid over another."""

from dagwire_launcher.kubernetes.merge import merge_layers


def test_mappings_are_merged_field_by_field():
    lower = {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    upper = {"resources": {"limits": {"memory": "2Gi"}}}
    assert merge_layers(lower, upper) == {"resources": {"limits": {"cpu": "1", "memory": "2Gi"}}}


def test_an_entry_of_the_same_name_takes_the_lower_ones_place():
    lower = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    upper = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
    assert merge_layers(lower, upper)["env"] == [upper["env"][0], lower["env"][1]]


def test_containers_of_the_same_name_are_merged():
    lower = {"sidecarContainers": [{"name": "proxy", "image": "proxy:1"}]}
    upper = {"sidecarContainers": [{"name": "proxy", "args": ["-v"]}]}
    assert merge_layers(lower, upper)["sidecarContainers"] == [{"name": "proxy", "image": "proxy:1", "args": ["-v"]}]


def test_lists_without_names_are_added_to_and_nothing_is_in_them_twice():
    lower = {"tolerations": [{"key": "a"}]}
    upper = {"tolerations": [{"key": "a"}, {"key": "b"}]}
    assert merge_layers(lower, upper)["tolerations"] == [{"key": "a"}, {"key": "b"}]


def test_a_shallow_layer_replaces_whole_fields():
    lower = {"env": [{"name": "A", "value": "1"}], "nodeSelector": {"a": "b"}}
    upper = {"env": [{"name": "B", "value": "2"}], "mergeBehavior": "SHALLOW"}
    assert merge_layers(lower, upper) == {"env": [{"name": "B", "value": "2"}], "nodeSelector": {"a": "b"}}


def test_neither_layer_is_changed():
    lower, upper = {"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "B", "value": "2"}]}
    merge_layers(lower, upper)
    assert (len(lower["env"]), len(upper["env"])) == (1, 1)
