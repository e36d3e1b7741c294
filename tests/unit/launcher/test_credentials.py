"""What is derived from the credential secret, and the credential that a worker is given."""

import re

import pytest
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.secret import CredentialSecret
from dagwire_shared.errors import InvalidIdentifierError, SettingsError
from dagwire_shared.ids import RunId

SECRET = "0123456789abcdef0123456789abcdef"
RUN = RunId("11111111-1111-4111-8111-111111111111")
OTHER = RunId("11111111-1111-4111-8111-111111111112")


def test_every_launcher_derives_the_same_keys_today_and_after_an_upgrade():
    # Known answers, from OpenSSL's HKDF. Running workers hold tokens, the server the issuer's key: they never change.
    secret = CredentialSecret(SECRET)
    assert secret.worker_token(RUN) == "42lBKR_LMi2TanF8kN4qpPkkXxDYTzNUBJt7Y3ikb6I"
    assert secret.issuer_seed.hex() == "fd43a184fc08c324ad239a9c27096df0469dc474ccc80692285bccde9bb23247"
    assert secret.box_seed.hex() == "accea7160ab50488399bf0213c5d15a3b10b209ef181394e0f59cc28dff60c5c"


def test_a_token_is_one_runs_and_one_secrets():
    secret, another = CredentialSecret(SECRET), CredentialSecret(SECRET.upper())
    token = secret.worker_token(RUN)
    assert secret.vouches_for(RUN, token)
    assert not secret.vouches_for(OTHER, token)
    assert not another.vouches_for(RUN, token)
    for wrong in ("", token[:-1], token + "a", "ü"):
        assert not secret.vouches_for(RUN, wrong)


def test_a_token_needs_no_quoting_in_an_address():
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", CredentialSecret(SECRET).worker_token(RUN))


def test_keys_differ_from_each_other():
    secret = CredentialSecret(SECRET)
    assert len({secret.issuer_seed, secret.box_seed}) == 2


def test_a_secret_that_can_be_guessed_is_refused():
    with pytest.raises(SettingsError, match="has 31 characters") as caught:
        CredentialSecret(SECRET[:-1])
    assert SECRET[:-1] not in str(caught.value)


def test_no_token_is_made_for_what_is_no_run_id():
    with pytest.raises(InvalidIdentifierError):
        CredentialSecret(SECRET).worker_token(RunId("*"))


def test_a_worker_connects_as_its_run_and_listens_in_its_own_inbox():
    token = CredentialSecret(SECRET).worker_token(RUN)
    assert WorkerCredentials(SECRET, "nats://bus:4222").environment(RUN) == {
        "DAGWIRE_WORKER_NATS_URL": f"nats://{RUN}:{token}@bus:4222",
        "DAGWIRE_WORKER_INBOX_PREFIX": f"_INBOX_{RUN}",
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nats://launcher:p%40ss@bus:4222", "nats://{}@bus:4222"),
        ("bus:4222", "nats://{}@bus:4222"),
        ("tls://[::1]:4222", "tls://{}@[::1]:4222"),
        ("nats://a:1, nats://u:p@b:2,", "nats://{}@a:1,nats://{}@b:2"),
        ("wss://bus/nats?x=1", "wss://{}@bus/nats?x=1"),
    ],
)
def test_a_runs_credential_takes_the_place_of_any_other_in_the_address(url: str, expected: str):
    credential = f"{RUN}:{CredentialSecret(SECRET).worker_token(RUN)}"
    found = WorkerCredentials(SECRET, url).environment(RUN)["DAGWIRE_WORKER_NATS_URL"]
    assert found == expected.replace("{}", credential)


def test_without_a_secret_workers_share_the_credential_of_their_address():
    assert WorkerCredentials(None, "nats://worker:w@bus").environment(RUN) == {
        "DAGWIRE_WORKER_NATS_URL": "nats://worker:w@bus"
    }
