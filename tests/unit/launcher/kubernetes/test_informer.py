"""What an informer makes of lists, watches and their ends. The server is a script."""

import asyncio
import contextlib

import pytest
from dagwire_launcher.kubernetes.api import JOBS, Change
from dagwire_launcher.kubernetes.errors import ApiAwayError, ApiRefusedError
from dagwire_launcher.kubernetes.informer import Informer
from dagwire_launcher.kubernetes.seen import Seen

pytestmark = pytest.mark.timeout(10)


def thing(name, version, uid=None):
    return {"metadata": {"name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}}


def read(raw):
    meta = raw["metadata"]
    return Seen(name=meta["name"], uid=meta["uid"], version=int(meta["resourceVersion"]))


class Script:
    """An API server that answers what the script says; then it is silent."""

    def __init__(self, *, lists, watches) -> None:
        self.lists, self.watches = list(lists), list(watches)
        self.watched_from = []
        self.silent = asyncio.Event()
        self.during = lambda: None

    async def list(self, resource, **selectors):
        items, version = self.lists.pop(0)
        self.during()
        return items, str(version)

    @contextlib.asynccontextmanager
    async def watch(self, resource, version, **selectors):
        self.watched_from.append(version)
        if not self.watches:
            self.silent.set()
            await asyncio.Future()
        yield self._play(self.watches.pop(0))

    async def _play(self, changes):
        for change in changes:
            if isinstance(change, Exception):
                raise change
            yield change


async def played(script, *, during=None):
    """Run an informer until the script is at its end, and return what it told."""
    told = []
    informer = Informer(
        script, JOBS, read, selectors={}, changed=lambda seen, gone: told.append((seen.name, seen.version, gone))
    )
    if during is not None:
        script.during = lambda: during(informer)
    task = asyncio.create_task(informer.run())
    await script.silent.wait()
    task.cancel()
    return told, informer


def added(name, version):
    return Change("ADDED", thing(name, version))


async def test_what_is_there_is_told_and_then_what_happens():
    script = Script(
        lists=[([thing("a", 1)], 5)],
        watches=[[added("b", 6), Change("MODIFIED", thing("a", 7)), Change("DELETED", thing("b", 8))]],
    )
    told, _ = await played(script)
    assert told == [("a", 1, False), ("b", 6, False), ("a", 7, False), ("b", 8, True)]


async def test_a_watch_that_ends_or_breaks_goes_on_from_what_was_seen_last():
    bookmark = Change("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    script = Script(lists=[([], 5)], watches=[[added("a", 6)], [bookmark, ApiAwayError("cut")], []])
    told, informer = await played(script)
    assert script.watched_from == ["5", "6", "9", "9"]
    assert told == [("a", 6, False)]
    assert informer.trouble is None


@pytest.mark.parametrize(
    "gone", [Change("ERROR", {"code": 410, "reason": "Expired"}), ApiRefusedError(410, "Expired", "too old")]
)
async def test_after_gone_all_is_listed_again_and_what_vanished_is_told(gone):
    script = Script(lists=[([thing("a", 1), thing("b", 2)], 5), ([thing("b", 2)], 9)], watches=[[gone]])
    told, _ = await played(script)
    assert told == [("a", 1, False), ("b", 2, False), ("a", 1, True)]
    assert script.watched_from == ["5", "9"]


async def test_what_was_created_after_a_list_is_not_missing_in_it():
    script = Script(lists=[([], 5)], watches=[])
    told, _ = await played(script, during=lambda informer: informer.put(thing("new", 6)))
    assert told == [("new", 6, False)]


async def test_what_is_older_than_what_is_known_is_not_told():
    script = Script(lists=[([thing("a", 3)], 5)], watches=[[added("a", 3), Change("MODIFIED", thing("a", 2))]])
    told, _ = await played(script)
    assert told == [("a", 3, False)]


async def test_another_object_of_the_same_name_means_that_the_first_is_gone():
    script = Script(
        lists=[([thing("a", 1)], 5), ([thing("a", 8, uid="another")], 9)], watches=[[ApiRefusedError(410, "", "")]]
    )
    told, _ = await played(script)
    assert told == [("a", 1, False), ("a", 1, True), ("a", 8, False)]


async def test_a_cluster_that_was_restored_to_yesterday_is_believed():
    lists = [([thing("a", 100), thing("b", 100)], 100), ([thing("a", 50), thing("c", 60)], 70)]
    script = Script(lists=lists, watches=[[ApiRefusedError(410, "", "")], [Change("MODIFIED", thing("a", 80))]])
    told, _ = await played(script)
    assert told[2:] == [("b", 100, True), ("a", 50, False), ("c", 60, False), ("a", 80, False)]


async def test_an_object_that_is_not_readable_does_not_stop_the_others():
    script = Script(lists=[([{"metadata": {}}, thing("a", 1)], 5)], watches=[[added("b", 6)]])
    told, _ = await played(script)
    assert [name for name, _, _ in told] == ["a", "b"]


async def test_a_server_that_is_away_at_first_is_asked_again():
    script = Script(lists=[], watches=[])

    async def away(resource, **selectors):
        if not script.lists:
            script.lists.append(([thing("a", 1)], 5))
            raise ApiAwayError("refused")
        return script.lists.pop(0)[0], "5"

    script.list = away
    told, informer = await played(script)
    assert told == [("a", 1, False)]
    assert informer.synced.is_set()
