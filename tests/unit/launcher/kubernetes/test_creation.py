"""What an answer of the API server means for a run whose Job was to be created."""

import pytest
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError
from dagwire_launcher.kubernetes.creation import create_job, refusal
from dagwire_launcher.kubernetes.errors import ApiAwayError, ApiRefusedError
from dagwire_launcher.kubernetes.names import label_value, labels
from dagwire_shared.ids import run_id_for

RUN = run_id_for("k")
LABELS = labels(instance="acme", component="run-worker", run_id=RUN, job="j", location="here")
MANIFEST = {"metadata": {"name": "dagwire-run-x", "labels": LABELS}}
EXISTS = ApiRefusedError(409, "AlreadyExists", "jobs.batch already exists")


class Answers:
    """An API server that answers as it is told."""

    namespace = "n"

    def __init__(self, *, create, read=None) -> None:
        self._create, self._read = create, read
        self.reads = 0

    async def create(self, resource, manifest):
        raise self._create

    async def read(self, resource, name):
        self.reads += 1
        if isinstance(self._read, Exception):
            raise self._read
        return self._read


UNKNOWN = [ApiAwayError("timed out"), ApiRefusedError(500, "InternalError", "?"), ApiRefusedError(504, "Timeout", "?")]


@pytest.mark.parametrize("error", [EXISTS, *UNKNOWN])
async def test_a_job_that_is_there_already_is_taken_for_the_one_if_it_is(error):
    there = {"metadata": {"labels": {**LABELS, "more": "labels"}}}
    assert await create_job(Answers(create=error, read=there), MANIFEST) is there


@pytest.mark.parametrize("error", [EXISTS, *UNKNOWN])
async def test_a_job_of_something_else_is_never_taken_for_it(error):
    for other in ({}, {**LABELS, "dagwire/run-id": "another"}, {**LABELS, "app.kubernetes.io/instance": "another"}):
        with pytest.raises(LaunchRefusedError, match="There is a Job dagwire-run-x in namespace n"):
            await create_job(Answers(create=error, read={"metadata": {"labels": other}}), MANIFEST)


@pytest.mark.parametrize("error", [EXISTS, *UNKNOWN])
@pytest.mark.parametrize("read", [None, ApiAwayError("timed out")])
async def test_what_is_not_known_is_asked_for_again(error, read):
    with pytest.raises(BackendUnavailableError):
        await create_job(Answers(create=error, read=read), MANIFEST)


async def test_a_refusal_is_not_looked_into():
    api = Answers(create=ApiRefusedError(422, "Invalid", "spec.template"))
    with pytest.raises(LaunchRefusedError, match=r"\(422\): spec\.template"):
        await create_job(api, MANIFEST)
    assert api.reads == 0


@pytest.mark.parametrize(
    "error",
    [
        ApiRefusedError(401, "Unauthorized", "Unauthorized"),
        ApiRefusedError(403, "Forbidden", 'User "x" cannot create resource "jobs" in API group "batch"'),
        ApiRefusedError(403, "Forbidden", "being terminated", {"causes": [{"reason": "NamespaceTerminating"}]}),
        ApiRefusedError(404, "NotFound", 'namespaces "x" not found'),
        ApiRefusedError(409, "Conflict", "Operation cannot be fulfilled on resourcequotas"),
        ApiRefusedError(429, "TooManyRequests", "too many requests"),
    ],
)
def test_what_an_operator_or_time_can_mend_makes_runs_wait(error):
    assert isinstance(refusal(error), BackendUnavailableError)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ApiRefusedError(400, "BadRequest", "strict decoding error: unknown field"), "launch_refused"),
        (ApiRefusedError(403, "Forbidden", 'admission webhook "p" denied the request'), "launch_refused"),
        (ApiRefusedError(403, "Forbidden", "exceeded quota: q"), "quota_exceeded"),
        (ApiRefusedError(413, "RequestEntityTooLarge", "too large"), "launch_refused"),
        (ApiRefusedError(422, "Invalid", "invalid"), "launch_refused"),
    ],
)
def test_what_this_run_asks_for_and_cannot_have_loses_it(error, cause):
    found = refusal(error)
    assert isinstance(found, LaunchRefusedError)
    assert found.cause == cause
    assert error.message in str(found)


def test_labels_hold_what_kubernetes_takes():
    assert label_value("weather report/daily") == "weather-report-daily"
    assert label_value("_x_") == "x"
    assert label_value("é" * 3) == ""
    assert len(label_value("a" * 62 + "-" * 5)) == 62
