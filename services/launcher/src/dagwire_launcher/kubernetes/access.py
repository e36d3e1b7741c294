"""Finds out how the API server is reached: ``$KUBECONFIG``, the pod's service account, or ``~/.kube/config``."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from dagwire_shared.errors import SettingsError
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration

Connect = Callable[[], Awaitable[Configuration]]
"""Reads the access anew: files and tokens may have changed."""

_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_HOME_FILE: Final = "~/.kube/config"
_CONNECTIONS: Final = 100


async def read_access() -> Configuration:
    """Read how the API server is reached.

    Raises:
        SettingsError: nothing says how, or what says it is not readable.
    """
    access = Configuration()
    access.connection_pool_maxsize = _CONNECTIONS
    # Clusters make their own authority, and many of these lack extensions that Python 3.13 insists on. The certificate
    # and its name are verified all the same.
    access.disable_strict_ssl_verification = True
    try:
        if _in_cluster():
            config.load_incluster_config(client_configuration=access)
        else:
            await config.load_kube_config(config_file=_kubeconfig(), client_configuration=access)
    except (config.ConfigException, OSError, ValueError) as error:
        raise SettingsError(
            f"the Kubernetes API server cannot be found: {error}. Set KUBECONFIG, or run the launcher in a pod that"
            " mounts its service account's token"
        ) from error
    return access


def own_namespace() -> str:
    """Return the namespace of the launcher's own pod, or that of the kubeconfig's context, or ``default``."""
    if _in_cluster():
        try:
            return _ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()
        except OSError:
            return "default"
    try:
        _, active = config.list_kube_config_contexts(config_file=_kubeconfig())
    except (config.ConfigException, OSError):
        return "default"
    return str((active or {}).get("context", {}).get("namespace") or "default")


def _in_cluster() -> bool:
    has_file = "KUBECONFIG" in os.environ or Path(_HOME_FILE).expanduser().exists()
    return not has_file and "KUBERNETES_SERVICE_HOST" in os.environ


def _kubeconfig() -> str:
    """Return the file, or several with colons between them, as kubectl finds it."""
    return os.environ.get("KUBECONFIG", _HOME_FILE)
