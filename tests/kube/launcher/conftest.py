"""A bus in the cluster for all of these tests, and for each a namespace of its own with user code in it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from dagwire_shared.jetstream import JetStreamBus, connect
from support import kubelaunch
from support.buses import fresh
from support.kube import Namespace, new_namespace
from support.kubelaunch import Addresses, Stage
from support.launching import serve


@pytest.fixture(scope="session")
def addresses(cluster: None) -> Iterator[Addresses]:
    """A NATS server that pods and tests reach."""
    with new_namespace("dagwire-test-bus") as namespace, kubelaunch.bus_in(namespace) as found:
        yield found


@pytest.fixture
async def bus(addresses: Addresses) -> AsyncIterator[JetStreamBus]:
    """The bus with nothing on it."""
    await fresh(addresses)
    async with connect(addresses.url, name="test") as connection:
        yield connection


@pytest.fixture
async def stage(bus: JetStreamBus, namespace: Namespace, addresses: Addresses) -> Stage:
    """A namespace of the test's own, and a code location whose image is in the cluster."""
    place = kubelaunch.location(namespace)
    await serve(bus, place)
    return Stage(bus, namespace, addresses, place)
