"""Names and labels of what the launcher makes in a cluster, and how it finds that again. No I/O."""

import re
from typing import Final

from dagwire_shared.ids import RunId, check_run_id

RUN_ID: Final = "dagwire/run-id"
JOB: Final = "dagwire/job"
STEP: Final = "dagwire/step"
CODE_LOCATION: Final = "dagwire/code-location"

NAME: Final = "app.kubernetes.io/name"
INSTANCE: Final = "app.kubernetes.io/instance"
COMPONENT: Final = "app.kubernetes.io/component"
PART_OF: Final = "app.kubernetes.io/part-of"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PLAIN_COMPONENT: Final = "component"
"""As ``COMPONENT``, for selectors typed by hand and for network policies."""

MANAGER: Final = "dagwire-launcher"
RUN_WORKER: Final = "run-worker"
STEP_WORKER: Final = "step-worker"

CONTAINER: Final = "worker"
"""The name of the container that runs the worker, in every pod of the launcher's."""

JOB_OF_POD: Final = "batch.kubernetes.io/job-name"
"""Written by Kubernetes on each pod of a Job."""

PREFIXES: Final = ("dagwire-run-", "dagwire-step-")
"""How the names of the launcher's Jobs begin."""

_LONGEST: Final = 63
_NO_LABEL: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_EDGES: Final = "_.-"


def run_job_name(run_id: RunId) -> str:
    """Return the name of a run's Job. It follows from the run id alone, so that creating it twice makes one."""
    return f"{PREFIXES[0]}{check_run_id(run_id)}"


def label_value(text: str) -> str:
    """Return a text as a label may hold it: other characters become ``-``, and 63 are kept."""
    return _NO_LABEL.sub("-", text).strip(_EDGES)[:_LONGEST].rstrip(_EDGES)


def labels(*, instance: str, component: str, run_id: RunId, job: str, location: str) -> dict[str, str]:
    """Return the labels of a worker's Job and pods."""
    return {
        NAME: "dagwire",
        INSTANCE: instance,
        COMPONENT: component,
        PART_OF: "dagwire",
        MANAGED_BY: MANAGER,
        PLAIN_COMPONENT: component,
        RUN_ID: run_id,
        JOB: label_value(job),
        CODE_LOCATION: label_value(location),
    }


def selector(instance: str) -> str:
    """Return the label selector of everything that launchers of this instance made."""
    return f"{MANAGED_BY}={MANAGER},{INSTANCE}={instance}"
