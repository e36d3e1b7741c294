"""For each test a namespace of its own with user code in it."""

import pytest
from dagwire_shared.jetstream import JetStreamBus
from support import kubelaunch
from support.kube import Namespace
from support.kubelaunch import Addresses, Stage
from support.launching import serve


@pytest.fixture
async def stage(bus: JetStreamBus, namespace: Namespace, addresses: Addresses) -> Stage:
    """A namespace of the test's own, and a code location whose image is in the cluster."""
    place = kubelaunch.location(namespace)
    await serve(bus, place)
    return Stage(bus, namespace, addresses, place)
