import json

import httpx
import pytest
from dagwire.cli.dagit import Dagit
from dagwire.cli.exits import CommandError, ExitCode
from dagwire.cli.feed import Follower, Patience
from support.fakedagit import RUN_ID

QUICK = Patience(lost=0.2, unknown=0.1, pauses=(0.01,))


def frame(n: int) -> str:
    item = json.dumps({"cursor": f"1-{n}", "event": {"type": "dagwire.log.written"}})
    return f"event: event\nid: 1-{n}\ndata: {item}\n\n"


class Script:
    """A server that gives one scripted answer after the other; the last one repeats."""

    def __init__(self, *answers: str | int | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.told: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return httpx.Response(answer, json={"code": "x", "message": "no."})
        return httpx.Response(200, text=answer, headers={"content-type": "text/event-stream"})

    def follower(self, patience: Patience = QUICK) -> Follower:
        client = httpx.Client(transport=httpx.MockTransport(self))
        return Follower(Dagit("http://d", client), RUN_ID, tell=self.told.append, patience=patience)

    def take(self, count: int) -> list[str]:
        items = self.follower().items()
        return [next(items)["cursor"] for _ in range(count)]


def test_it_resumes_after_the_last_event_that_it_saw():
    script = Script(frame(1) + frame(2), frame(3))

    assert script.take(3) == ["1-1", "1-2", "1-3"]
    assert [request.headers.get("last-event-id") for request in script.requests] == [None, "1-2"]


def test_an_event_that_comes_again_is_told_once():
    assert Script(frame(1), frame(1) + frame(2)).take(2) == ["1-1", "1-2"]


def test_comments_hints_and_caught_up_are_no_events():
    text = (
        ': hello\n\nevent: location\ndata: {}\n\nevent: caught-up\ndata: {"cursor": "1-0"}\n\n'
        + frame(1)
        + ": alive\n\n"
    )

    assert Script(text, frame(2)).take(2) == ["1-1", "1-2"]


def test_half_an_event_at_a_break_is_read_again():
    assert Script(frame(1) + "event: event\nid: 1-2\nda", frame(2)).take(2) == ["1-1", "1-2"]


def test_a_long_absence_is_told_once_and_so_is_the_return():
    away = httpx.ConnectError("refused")
    script = Script(frame(1), away, away, away, away, frame(2))

    assert script.take(2) == ["1-1", "1-2"]
    assert len(script.told) == 2
    assert script.told[0].startswith("connection lost (refused)")
    assert script.told[1] == "connected again"


def test_a_server_error_is_a_break_like_any_other():
    assert Script(frame(1), 503, 500, frame(2)).take(2) == ["1-1", "1-2"]


def ending(script: Script) -> CommandError:
    with pytest.raises(CommandError) as caught:
        list(script.follower().items())
    return caught.value


def test_a_server_that_stays_away_ends_it():
    error = ending(Script(frame(1), httpx.ReadError("cut")))

    assert (error.exit_code, error.message) == (ExitCode.UNREACHABLE, "the Dagit at http://d stays away: cut")


def test_no_server_at_the_first_try_ends_it_at_once():
    script = Script(httpx.ConnectError("refused"))

    assert ending(script).exit_code == ExitCode.UNREACHABLE
    assert len(script.requests) == 1


def test_a_run_that_stays_unknown_is_not_found():
    assert ending(Script(404)).exit_code == ExitCode.NOT_FOUND


def test_a_refusal_is_not_tried_again():
    script = Script(403)

    assert ending(script).exit_code == ExitCode.REFUSED
    assert len(script.requests) == 1


def test_a_server_that_ends_each_connection_without_a_word_stays_away():
    assert "stays away: the server ended the feed" in ending(Script("")).message


def test_what_is_no_feed_ends_it_at_once():
    class Html(Script):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, text="<html>", headers={"content-type": "text/html"})

    assert ending(Html("")).exit_code == ExitCode.UNREACHABLE
