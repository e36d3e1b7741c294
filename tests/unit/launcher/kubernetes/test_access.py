"""How the API server is found, and what is said when it is not."""

import json

import pytest
from dagwire_launcher.kubernetes.access import own_namespace, read_access
from dagwire_launcher.kubernetes.backend import make_backend
from dagwire_launcher.settings import Settings
from dagwire_shared.errors import SettingsError


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    """Writes a kubeconfig, and has the environment name it."""
    file = tmp_path / "kubeconfig"
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(file))

    def write(**context):
        content = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://cluster.example:6443"}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
        }
        file.write_text(json.dumps(content))

    return write


async def test_a_kubeconfig_says_where_the_server_is_and_which_namespace_is_meant(kubeconfig):
    kubeconfig(namespace="data")
    assert (await read_access()).host == "https://cluster.example:6443"
    assert own_namespace() == "data"


def test_without_a_namespace_it_is_the_default_one(kubeconfig):
    kubeconfig()
    assert own_namespace() == "default"


async def test_without_any_way_to_the_server_the_ways_are_named(kubeconfig):
    with pytest.raises(SettingsError, match="Set KUBECONFIG"):
        await read_access()


def test_a_run_config_that_is_not_there_is_named_before_anything_starts(tmp_path):
    settings = Settings(backend="kubernetes", namespace="data", run_config=tmp_path / "no.yaml")
    with pytest.raises(SettingsError, match=r"no\.yaml"):
        make_backend(settings)
