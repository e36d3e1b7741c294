"""Creates a Job, once: each answer of the API server means that it is there, may come later, or never will."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from dagwire_shared.events import FailureCause

from dagwire_launcher.errors import BackendError, BackendUnavailableError, LaunchRefusedError
from dagwire_launcher.kubernetes import names
from dagwire_launcher.kubernetes.api import JOBS, Api, Raw
from dagwire_launcher.kubernetes.errors import ApiError, ApiRefusedError

log = logging.getLogger(__name__)

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_TOO_MANY: Final = 429
_UNAUTHORIZED: Final = 401
_EXISTS: Final = "AlreadyExists"
_NO_RIGHT: Final = "cannot create resource"
_OVER_QUOTA: Final = "exceeded quota"
_OWNERS: Final = (names.MANAGED_BY, names.INSTANCE, names.COMPONENT, names.RUN_ID)
"""The labels by which a Job is told to be the one that was to be created."""


async def create_job(api: Api, manifest: Mapping[str, Any]) -> Raw:
    """Create a Job, or return the one of its name if that is the same worker's.

    Its name follows from the run, so after an answer that was lost it is looked at by name: there is never a second.

    Raises:
        LaunchRefusedError: the cluster will not have it, or something else has its name.
        BackendUnavailableError: it is not there now; ask again.
    """
    try:
        return await api.create(JOBS, manifest)
    except ApiError as error:
        if not error.outcome_unknown and not is_taken(error):
            raise refusal(error) from error
        log.info("job may be there already", extra={"job": manifest["metadata"]["name"], "cause": str(error)})
        return await _existing(api, manifest, error)


async def _existing(api: Api, manifest: Mapping[str, Any], cause: ApiError) -> Raw:
    name = manifest["metadata"]["name"]
    try:
        found = await api.read(JOBS, name)
    except ApiError as error:
        raise BackendUnavailableError(f"whether Job {name} was created is unknown: {cause}; then: {error}") from error
    if found is None:
        raise BackendUnavailableError(f"Job {name} was not created: {cause}") from cause
    if not is_same(found, manifest):
        raise LaunchRefusedError(
            f"There is a Job {name} in namespace {api.namespace} that is not this run's: its labels are"
            f" {found['metadata'].get('labels', {})}. Look whose it is, delete it, and request a new run."
        ) from cause
    return found


def is_taken(error: ApiError) -> bool:
    """Return whether an object of this name is there."""
    return isinstance(error, ApiRefusedError) and error.status == _CONFLICT and error.reason == _EXISTS


def is_same(found: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Return whether a Job is the one that a manifest describes."""
    there, wanted = found["metadata"].get("labels", {}), manifest["metadata"]["labels"]
    return all(there.get(label) == wanted.get(label) for label in _OWNERS)


def refusal(error: ApiError) -> BackendError:
    """Return what an answer without success means for a run: that it waits, or that it can never be.

    It waits for what an operator changes for all runs: a missing right, a missing namespace, an invalid credential.
    """
    if not isinstance(error, ApiRefusedError):
        return BackendUnavailableError(str(error))
    if error.status in {_UNAUTHORIZED, _NOT_FOUND, _CONFLICT, _TOO_MANY}:
        return BackendUnavailableError(error.message)
    if error.status == _FORBIDDEN:
        if _OVER_QUOTA in error.message:
            message = f"A quota of the namespace leaves no room for the run's Job: {error.message}"
            return LaunchRefusedError(message, cause=FailureCause.QUOTA_EXCEEDED)
        if _NO_RIGHT in error.message or "NamespaceTerminating" in error.causes:
            return BackendUnavailableError(error.message)
    return LaunchRefusedError(f"The cluster refuses the run's Job ({error.status}): {error.message}")
