"""The unprivileged account under which PostgreSQL runs when ``dagwire up`` is run as root, and its way to the data.

PostgreSQL refuses to run as root. An ordinary user runs it as himself, and nothing here is used.
"""

import errno
import logging
import os
import pwd
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dagwire_standalone.errors import StandaloneError

log = logging.getLogger(__name__)

NAME: Final = "dagwire"
"""The system account, made at first use."""
FALLBACK: Final = "nobody"
"""Used where accounts cannot be made (a read-only ``/etc``, an image without ``useradd``)."""

_ACL: Final = "system.posix_acl_access"
_ACL_VERSION: Final = 2
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NO_ID: Final = 0xFFFFFFFF
_SEARCH: Final = 1


@dataclass(frozen=True, slots=True)
class Account:
    """Who a process runs as."""

    name: str
    uid: int
    gid: int

    @property
    def options(self) -> Mapping[str, Any]:
        """What ``subprocess`` needs to run something as this account: no rights of root's groups are kept."""
        return {"user": self.uid, "group": self.gid, "extra_groups": ()}

    def can_enter(self, path: Path) -> bool:
        """Whether the account can search (directory) or execute (file) ``path``, asked of the kernel itself."""
        command = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]
        return subprocess.run(command, check=False, cwd="/", **self.options).returncode == 0


def account_for_server() -> Account | None:
    """Return the account to run PostgreSQL as, or None: as the current user, who is not root.

    The account is a system account of Dagwire's own, so that no other service's processes can read the data.

    Raises:
        StandaloneError: root cannot become anybody else here.
    """
    if os.geteuid() != 0:
        return None
    if (existing := _find(NAME)) is not None:
        return existing
    if (useradd := shutil.which("useradd")) is not None:
        command = [useradd, "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false", NAME]
        subprocess.run(command, check=False, capture_output=True)  # whether it worked, or another did it: look
        if (created := _find(NAME)) is not None:
            log.info("system account created", extra={"account": NAME})
            return created
    if (fallback := _find(FALLBACK)) is not None:
        return fallback
    raise StandaloneError(
        f"PostgreSQL does not run as root, and there is no account {NAME!r} to run it as: "
        f"run `dagwire up` as an ordinary user, or make the account with `useradd --system {NAME}`."
    )


def open_way(account: Account, path: Path) -> None:
    """Let ``account`` reach ``path``: where a directory above it is closed, give search permission to it alone.

    Search permission lets the account pass through a directory, not list it. It is given as an access control
    entry for this account; on file systems without such lists, as ``o+x``.

    Raises:
        StandaloneError: the way cannot be opened.
    """
    if account.can_enter(path):
        return
    for directory in _from_root(path if path.is_dir() else path.parent):
        if not account.can_enter(directory):
            _give_search(account, directory)
    if not account.can_enter(path):
        raise StandaloneError(
            f"The account {account.name!r}, as which PostgreSQL runs when you are root, cannot use {path}: "
            f"run `dagwire up` as an ordinary user, or move it to where others may pass."
        )


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return None if entry.pw_uid == 0 else Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)


def _from_root(directory: Path) -> Iterator[Path]:
    resolved = directory.resolve()
    yield from reversed(resolved.parents)
    yield resolved


def _give_search(account: Account, directory: Path) -> None:
    try:
        present = os.getxattr(directory, _ACL)
    except OSError as error:
        if error.errno not in {errno.ENODATA, errno.ENOTSUP}:
            raise
        present = None
    mode = directory.stat().st_mode
    try:
        os.setxattr(directory, _ACL, with_search(present, mode=mode, uid=account.uid))
    except OSError as error:
        if error.errno not in {errno.ENOTSUP, errno.EPERM}:
            raise
        directory.chmod(mode | 0o001)
    log.warning("directory opened for passage", extra={"directory": str(directory), "account": account.name})


def with_search(acl: bytes | None, *, mode: int, uid: int) -> bytes:
    """Return an access control list (in the kernel's form) to which search permission for ``uid`` is added.

    ``acl`` None: the directory has none yet, and ``mode`` says the same.
    """
    entries = {(tag, who): rights for tag, rights, who in _entries(acl)} if acl else _from_mode(mode)
    entries[_USER, uid] = entries.get((_USER, uid), 0) | _SEARCH
    mask = entries.get((_MASK, _NO_ID), entries[_GROUP_OBJ, _NO_ID])
    entries[_MASK, _NO_ID] = mask | _SEARCH
    packed = (struct.pack("<HHI", tag, rights, who) for (tag, who), rights in sorted(entries.items()))
    return struct.pack("<I", _ACL_VERSION) + b"".join(packed)


def _from_mode(mode: int) -> dict[tuple[int, int], int]:
    return {
        (_USER_OBJ, _NO_ID): mode >> 6 & 7,
        (_GROUP_OBJ, _NO_ID): mode >> 3 & 7,
        (_OTHER, _NO_ID): mode & 7,
    }


def _entries(acl: bytes) -> Iterator[tuple[int, int, int]]:
    return struct.iter_unpack("<HHI", acl[4:])
