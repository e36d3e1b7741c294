"""NATS's keys, signed tokens and sealed messages."""

import base64
import json

import pytest
from dagwire_launcher.keys import ACCOUNT, CURVE, SERVER, USER, Issuer, KeyFormError, Sealer, decode_key, encode_key
from dagwire_launcher.keys import read_signed as read
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

SEED = bytes.fromhex("fd43a184fc08c324ad239a9c27096df0469dc474ccc80692285bccde9bb23247")


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(claims: object, header: object = None, *, prefix: int = SERVER, seed: bytes = SEED) -> str:
    key = SigningKey(seed)
    issued = {**claims, "iss": encode_key(prefix, bytes(key.verify_key))} if isinstance(claims, dict) else claims
    text = f"{part(header or {'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{part(issued)}"
    return f"{text}.{base64.urlsafe_b64encode(key.sign(text.encode()).signature).rstrip(b'=').decode()}"


def test_public_keys_are_those_that_nats_derives():
    # Known answers, from nats-io/nkeys.py.
    assert Issuer(SEED).public == "ACL74IEPUVH3OPDWUBUPENMZHX32FDG45OD5ZZNJJ7HPXJZTMNDPTGFC"
    raw = bytes(SigningKey(bytes(range(32))).verify_key)
    assert encode_key(USER, raw) == "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
    assert encode_key(SERVER, raw) == "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB"
    assert Sealer(SEED).public.startswith("X")


@given(st.sampled_from([ACCOUNT, SERVER, USER, CURVE]), st.binary(min_size=32, max_size=32))
def test_a_key_is_read_as_it_was_written(prefix: int, raw: bytes):
    assert decode_key(prefix, encode_key(prefix, raw)) == raw


@pytest.mark.parametrize(
    "text", ["", "A", "é", "AAAA", 7, None, "N" * 56, Issuer(SEED).public[:-1] + "A", Issuer(SEED).public + "A"]
)
def test_what_is_no_key_of_the_kind_is_refused(text: str):
    for prefix in (ACCOUNT, USER):
        with pytest.raises(KeyFormError):
            decode_key(prefix, text)


def test_a_token_that_a_server_signed_is_read():
    assert read(signed({"nats": {"user": "x"}}), kind=SERVER)["nats"] == {"user": "x"}


def test_what_an_issuer_signs_bears_its_name():
    issuer = Issuer(SEED)
    assert read(issuer.sign({"sub": "x", "iss": "another"}), kind=ACCOUNT) == {"sub": "x", "iss": issuer.public}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c",
        signed({"sub": "x"}, prefix=ACCOUNT),
        signed({"sub": "x"}, {"typ": "JWT", "alg": "none"}),
        signed({"sub": "x"}, ["alg"]),
        signed(["claims"]),
        signed({"sub": "x"})[:-4] + "AAAA",
        signed({"sub": "x"}).rpartition(".")[0] + ".",
        ".".join(
            [*signed({"sub": "x"}).split(".")[:1], part({"sub": "y", "iss": "?"}), signed({"sub": "x"}).split(".")[2]]
        ),
    ],
)
def test_a_token_that_nobody_or_the_wrong_kind_of_key_signed_is_refused(token: str):
    with pytest.raises(KeyFormError):
        read(token, kind=SERVER)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str):
    with pytest.raises(KeyFormError):
        read(text, kind=SERVER)


def test_what_is_sealed_is_opened_by_its_recipient_alone():
    one, two, three = (Sealer(bytes([number]) * 32) for number in (1, 2, 3))
    sealed = one.seal(b"secret", two.public)
    assert sealed.startswith(b"xkv1")
    assert b"secret" not in sealed
    assert two.open(sealed, one.public) == b"secret"
    for wrong in (lambda: three.open(sealed, one.public), lambda: two.open(sealed, three.public)):
        with pytest.raises(KeyFormError):
            wrong()


@given(st.binary(max_size=100))
def test_any_bytes_are_opened_or_refused(sealed: bytes):
    one, two = Sealer(b"1" * 32), Sealer(b"2" * 32)
    for body in (sealed, b"xkv1" + sealed):
        with pytest.raises(KeyFormError):
            two.open(body, one.public)
