"""What a pod of a component can reach: a pod with its labels tries, and says which connections were made."""

import json
import secrets
from collections.abc import Iterable

from support.kube import IMAGE_TAG, Namespace

_TRY = """
import json, socket, sys
def reached(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError:
        return False
    return True
print(json.dumps([address for address in sys.argv[1:] if reached(address)]))
"""


def reachable(namespace: Namespace, component: str, addresses: Iterable[str], *, instance: str = "dagwire") -> set[str]:
    """Return those of the addresses, ``host:port``, that a pod labelled as the component's can connect to."""
    name = f"probe-{component}-{secrets.token_hex(2)}"
    labels = {"app.kubernetes.io/instance": instance, "app.kubernetes.io/part-of": "dagwire", "component": component}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod_security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "probe",
        "image": f"dagwire/user-code:{IMAGE_TAG}",
        "command": ["python", "-c", _TRY, *addresses],
        "securityContext": security,
    }
    spec = {"restartPolicy": "Never", "containers": [container], "securityContext": pod_security}
    metadata = {"name": name, "labels": labels}
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    namespace.wait("jsonpath={.status.phase}=Succeeded", f"pod/{name}", seconds=60)
    found: list[str] = json.loads(namespace.kubectl("logs", name))
    return set(found)
