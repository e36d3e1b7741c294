"""The messages of the auth callout."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagwire_launcher.keys import ACCOUNT, SERVER, USER, Issuer, KeyFormError, encode_key, read_signed
from dagwire_launcher.permissions import Permissions
from dagwire_launcher.tokens import Question, grant, read_question, refuse
from nacl.signing import SigningKey

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ISSUER = Issuer(b"i" * 32)


class Server(Issuer):
    """A NATS server, which signs as one."""

    def __init__(self) -> None:
        super().__init__(b"s" * 32)
        self.public = encode_key(SERVER, bytes(SigningKey(b"s" * 32).verify_key))


CLIENT = encode_key(USER, bytes(SigningKey(b"c" * 32).verify_key))
QUESTION = Question(server=Server().public, client=CLIENT, user="run", password="token")


def asked(**changes: Any) -> bytes:
    nats = {
        "server_id": {"id": Server().public, "name": "n", "host": "h"},
        "user_nkey": CLIENT,
        "client_info": {"host": "h", "id": 1, "user": "run"},
        "connect_opts": {"user": "run", "pass": "token", "protocol": 1},
        "type": "authorization_request",
        "version": 2,
    }
    return Server().sign({"aud": "nats-authorization-request", "exp": 1, "nats": {**nats, **changes}}).encode()


def test_a_question_is_read():
    assert read_question(asked()) == QUESTION


def test_a_client_may_have_no_name_and_no_password():
    question = read_question(asked(connect_opts={"protocol": 1, "auth_token": "x"}))
    assert (question.user, question.password) == ("", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        asked(server_id={"id": encode_key(SERVER, b"o" * 32)}),
        asked(user_nkey=ISSUER.public),
        asked(user_nkey=7),
        asked(connect_opts=None),
        asked(server_id="x"),
        ISSUER.sign({"nats": {}}).encode(),
    ],
)
def test_what_is_no_question_of_a_server_is_refused(body: bytes):
    with pytest.raises(KeyFormError):
        read_question(body)


def test_a_question_does_not_show_what_the_client_said():
    assert "token" not in repr(QUESTION)
    assert "run" not in repr(QUESTION)


def test_a_grant_is_for_this_client_of_this_server_and_for_a_while():
    permissions = Permissions(publish=["a.b"], subscribe=["c.>"])
    answer = read_signed(
        grant(ISSUER, QUESTION, permissions, now=NOW, expires=NOW + timedelta(minutes=5)).decode(), kind=ACCOUNT
    )
    assert (answer["aud"], answer["sub"], answer["iss"]) == (QUESTION.server, CLIENT, ISSUER.public)
    assert answer["nats"]["type"] == "authorization_response"
    user = read_signed(answer["nats"]["jwt"], kind=ACCOUNT)
    assert (user["aud"], user["sub"], user["iss"], user["name"]) == ("WORKERS", CLIENT, ISSUER.public, "run")
    assert user["exp"] - user["iat"] == 300
    assert user["nats"]["pub"] == {"allow": ["a.b"]}
    assert user["nats"]["sub"] == {"allow": ["c.>"]}
    assert "token" not in str(user) + str(answer)


def test_a_refusal_has_a_reason_and_no_token():
    answer = read_signed(refuse(ISSUER, QUESTION, "the run has ended", now=NOW).decode(), kind=ACCOUNT)
    assert answer["nats"]["error"] == "the run has ended"
    assert "jwt" not in answer["nats"]
