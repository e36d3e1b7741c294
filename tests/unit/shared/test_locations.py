"""What is known of a code location, and how long it is left alone between two tries."""

from datetime import timedelta

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.locations import CodeServer, Location, LocationUnavailableError, Snapshot, Status
from dagwire_shared.locations.watcher import FIRST_PAUSE, LONGEST_PAUSE, pause_before
from support.codeservers import a_repository


def test_pauses_grow_to_a_cap_and_are_spread():
    assert pause_before(1, 1.0) == FIRST_PAUSE
    assert pause_before(1, 0.0) == FIRST_PAUSE / 2
    assert pause_before(3, 1.0) == FIRST_PAUSE * 4
    assert pause_before(10_000, 1.0) == LONGEST_PAUSE <= timedelta(seconds=2)


def test_the_first_load_error_has_nothing_good_to_keep():
    start = Location.at_start(CodeServer(name="code", host="h", port=1))
    assert (start.status, start.stale, dict(start.repositories)) == (Status.LOADING, False, {})
    broken = pb.DefinitionsState(load_error=pb.Error(type="E", message="m", cause=pb.Error(type="C", message="n")))
    failed = start.with_snapshot(Snapshot(server=pb.ServerInfo(definitions=broken), repositories=()))
    assert (failed.status, failed.stale) == (Status.FAILED, False)
    assert failed.error.cause.type == "C"


def test_the_last_good_definitions_outlive_every_trouble_and_are_replaced_by_better_ones():
    start = Location.at_start(CodeServer(name="code", host="h", port=1))
    info = pb.ServerInfo(definitions=pb.DefinitionsState(definitions_hash="v1"))
    good = start.with_snapshot(Snapshot(server=info, repositories=(a_repository(),)))
    assert (good.status, good.stale, list(good.repositories)) == (Status.LOADED, False, ["main"])
    away = good.unreachable(LocationUnavailableError("gone"))
    assert (away.status, away.stale, list(away.repositories)) == (Status.UNREACHABLE, True, ["main"])
    assert (away.error.type, away.error.message) == ("LocationUnavailableError", "gone")
    again = away.with_snapshot(Snapshot(server=info, repositories=()))
    assert (again.status, again.error, dict(again.repositories)) == (Status.LOADED, None, {})
