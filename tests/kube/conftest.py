"""A real cluster, that of ``$KUBECONFIG``, with the images of ``make images`` loaded into it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from dagwire_shared.jetstream import JetStreamBus, connect
from support import kube, kubelaunch
from support.buses import fresh
from support.kubelaunch import Addresses


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


@pytest.fixture(scope="session")
def addresses(cluster: None) -> Iterator[Addresses]:
    """A NATS server in the cluster that pods and tests reach, for launchers outside of any release."""
    with kube.new_namespace("dagwire-test-bus") as namespace, kubelaunch.bus_in(namespace) as found:
        yield found


@pytest.fixture
async def bus(addresses: Addresses) -> AsyncIterator[JetStreamBus]:
    """The bus with nothing on it."""
    await fresh(addresses)
    async with connect(addresses.url, name="test") as connection:
        yield connection
