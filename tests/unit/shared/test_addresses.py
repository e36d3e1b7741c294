"""Addresses and the credentials in them."""

from urllib.parse import unquote, urlsplit

import pytest
from dagwire_shared.addresses import nats_address, postgres_address
from dagwire_shared.logs import redact

AWKWARD = "p@ss:w/rd?#,%41 [ü]\"'\n"


def test_a_password_may_hold_any_characters():
    for address in (
        nats_address("nats://h:4222", user="a:b", password=AWKWARD),
        postgres_address("postgresql://h:5432/name?sslmode=require", user="a:b", password=AWKWARD),
    ):
        parts = urlsplit(address)
        assert (unquote(parts.username or ""), unquote(parts.password or "")) == ("a:b", AWKWARD)
        assert parts.hostname == "h"
        assert redact(address).count("***@") == 1
        assert "w%2Frd" not in redact(address)


def test_every_server_of_a_cluster_gets_the_credential():
    address = nats_address("nats://a:4222, b:4222,nats://old:gone@c", user="dagit", password="p,w")
    assert address == "nats://dagit:p%2Cw@a:4222,nats://dagit:p%2Cw@b:4222,nats://dagit:p%2Cw@c"


def test_without_a_credential_the_address_stays_as_it_is():
    assert nats_address("tls://u:p@h:4222") == "tls://u:p@h:4222"
    assert postgres_address("postgresql://u:p@h1:1,h2:2/name?target_session_attrs=any") == (
        "postgresql://u:p@h1:1,h2:2/name?target_session_attrs=any"
    )


def test_a_password_goes_with_the_user_of_the_address():
    assert postgres_address("postgresql://owner:old@h/name", password="new") == "postgresql://owner:new@h/name"
    assert postgres_address("postgresql://owner@h/name", password="new") == "postgresql://owner:new@h/name"


@pytest.mark.parametrize("address", ["", " , ", "http://h", "nats://", "nats://h:port", "nats://[broken", "nats://h:0"])
def test_what_is_no_address_of_nats_is_refused(address: str):
    with pytest.raises(ValueError, match="nats://host:4222"):
        nats_address(address)


def test_what_is_no_address_of_postgresql_is_refused():
    with pytest.raises(ValueError, match="postgresql://user"):
        postgres_address("mysql://h/name")


def test_a_password_without_a_user_is_refused_and_not_shown():
    with pytest.raises(ValueError, match="no user") as refused:
        nats_address("nats://h", password="hunter2")
    assert "hunter2" not in str(refused.value)
