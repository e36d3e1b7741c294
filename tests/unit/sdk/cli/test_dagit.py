import httpx
import pytest
from dagwire.cli.dagit import Dagit, connect
from dagwire.cli.exits import CommandError, ExitCode


def dagit(answer) -> Dagit:
    return Dagit("http://dagit/prefix/", httpx.Client(transport=httpx.MockTransport(answer)))


def fault(answer) -> CommandError:
    with pytest.raises(CommandError) as caught:
        dagit(answer).get("jobs")
    return caught.value


def raising(error: Exception):
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


def test_an_address_keeps_the_prefix_and_quotes_names():
    assert dagit(None).address("jobs", "a b", "x/y") == "http://dagit/prefix/api/v1/jobs/a%20b/x%2Fy"


def test_no_server_is_one_sentence(nowhere):
    outcome = nowhere("job", "list")

    assert outcome.code == 5
    assert outcome.err == (
        "Error: no Dagit answers at http://127.0.0.1:9 (connection refused):"
        " start one with `dagwire up`, or name another with --url\n"
    )


@pytest.mark.parametrize("url", ["nope", "ftp://x", "http://", "127.0.0.1:3000"])
def test_an_address_that_cannot_be_one_is_a_mistake(url):
    with pytest.raises(CommandError) as caught, connect(url):
        pass

    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (lambda _: httpx.Response(200, text="<html>"), ExitCode.UNREACHABLE, "it is no Dagit"),
        (
            lambda _: httpx.Response(404, text="nginx"),
            ExitCode.UNREACHABLE,
            "it is no Dagit (404 for /prefix/api/v1/jobs)",
        ),
        (lambda _: httpx.Response(502, text="bad gateway"), ExitCode.UNREACHABLE, "it answered 502 Bad Gateway"),
        (lambda _: httpx.Response(403, json={"code": "x", "message": "No."}), ExitCode.REFUSED, "No"),
        (lambda _: httpx.Response(404, json={"code": "x", "message": "None."}), ExitCode.NOT_FOUND, "None"),
        (
            lambda _: httpx.Response(307, headers={"location": "https://other/"}),
            ExitCode.UNREACHABLE,
            "name that place",
        ),
        (raising(httpx.ReadTimeout("slow")), ExitCode.UNREACHABLE, "did not answer in time"),
        (raising(httpx.ConnectTimeout("slow")), ExitCode.UNREACHABLE, "could not be reached in time"),
        (raising(httpx.RemoteProtocolError("cut")), ExitCode.UNREACHABLE, "the connection to the Dagit"),
    ],
)
def test_every_failure_is_a_sentence_with_a_code(answer, code, message):
    error = fault(answer)

    assert error.exit_code == code
    assert message in error.message


def test_a_launch_whose_answer_is_lost_is_sent_again_under_its_key():
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadTimeout("slow")
        return httpx.Response(202, json={"run_id": "r", "duplicate": True})

    assert dagit(answer).launch({}, key=None, waiting=lambda _: None)["run_id"] == "r"
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_launch_that_was_never_sent_is_not_repeated():
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        raise httpx.ConnectError("Connection refused")

    with pytest.raises(CommandError, match="connection refused"):
        dagit(answer).launch({}, key=None, waiting=lambda _: None)
    assert len(calls) == 1


def test_certificates_are_checked_where_there_are_any(monkeypatch):
    asked: list[bool] = []
    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **given: asked.append(given["verify"]) or client())
    for url in ("https://dagit", "http://dagit"):
        with connect(url):
            pass

    assert asked == [True, False]
