"""A real cluster, that of ``$KUBECONFIG``, with the images of ``make images`` loaded into it."""

import pytest
from support import kube


@pytest.fixture(scope="session", autouse=True)
def cluster():
    """Fail, and never skip, without a cluster: who runs these tests asked for one."""
    if (lack := kube.missing()) is not None:
        pytest.fail(lack, pytrace=False)


@pytest.fixture
def namespace(cluster):
    """A namespace of the test's own, in which Pod Security enforces "restricted"."""
    with kube.new_namespace() as namespace:
        yield namespace


@pytest.fixture(scope="module")
def module_namespace(cluster):
    """The same for the tests of one module together."""
    with kube.new_namespace() as namespace:
        yield namespace
