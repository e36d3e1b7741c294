"""Access control lists, computed."""

import struct

from dagwire_standalone.account import with_search

USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 1, 2, 4, 16, 32
NOBODY = 0xFFFFFFFF


def _entries(acl: bytes) -> list[tuple[int, int, int]]:
    assert acl[:4] == struct.pack("<I", 2)
    return list(struct.iter_unpack("<HHI", acl[4:]))


def test_a_closed_directory_is_opened_for_one_account_only():
    assert _entries(with_search(None, mode=0o40700, uid=42)) == [
        (USER_OBJ, 7, NOBODY),
        (USER, 1, 42),
        (GROUP_OBJ, 0, NOBODY),
        (MASK, 1, NOBODY),
        (OTHER, 0, NOBODY),
    ]


def test_the_group_keeps_what_it_had():
    entries = _entries(with_search(None, mode=0o40750, uid=42))
    assert (GROUP_OBJ, 5, NOBODY) in entries
    assert (MASK, 5, NOBODY) in entries


def test_another_account_joins_a_list_that_is_there():
    acl = with_search(with_search(None, mode=0o40700, uid=42), mode=0o40710, uid=7)
    assert [(rights, who) for tag, rights, who in _entries(acl) if tag == USER] == [(1, 7), (1, 42)]


def test_what_an_account_may_do_already_stays():
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *entry)
        for entry in [
            (USER_OBJ, 7, NOBODY),
            (USER, 6, 42),
            (GROUP_OBJ, 0, NOBODY),
            (MASK, 6, NOBODY),
            (OTHER, 0, NOBODY),
        ]
    )
    assert (USER, 7, 42) in _entries(with_search(acl, mode=0o40760, uid=42))
