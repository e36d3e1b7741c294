"""The shared progress: written over what is known only, and never back."""

from datetime import UTC, datetime

import pytest
from dagwire_scheduler.cursors import Cursors
from dagwire_scheduler.schedules import Identity
from dagwire_scheduler.ticks import Progress, Rule
from dagwire_shared.bus import Entry
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.records import ScheduleCursor, cursor_key

WHO = Identity.of("code", "main", "nightly")
RULE = Rule(("@daily",), "Asia/Tokyo")


def at(hour: int) -> Progress:
    return Progress(through=datetime(2026, 1, 1, hour, tzinfo=UTC), rule=RULE)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(MemoryBroker())


async def test_what_is_written_is_known_here_and_told_to_others(bus):
    mine, others = Cursors(bus.state), Cursors(bus.state)
    changes = others.follow()
    assert await anext(changes) is None
    assert others.get(WHO.id) is None
    assert await mine.write(WHO, at(1))
    assert mine.get(WHO.id) == at(1)
    assert await anext(changes) == WHO.id
    assert others.get(WHO.id) == at(1)


async def test_the_second_of_two_writers_does_not_write_and_learns_the_others_word(bus):
    mine, others = Cursors(bus.state), Cursors(bus.state)
    assert await mine.write(WHO, at(2))
    assert not await others.write(WHO, at(1))
    assert others.get(WHO.id) == at(2)
    assert await others.write(WHO, at(3))
    assert not await mine.write(WHO, at(4))
    assert mine.get(WHO.id) == at(3)


async def test_a_write_whose_answer_was_lost_counts_as_written(bus):
    mine = Cursors(bus.state)
    await Cursors(bus.state).write(WHO, at(1))
    assert await mine.write(WHO, at(1))


async def test_a_cursor_never_goes_back(bus):
    mine = Cursors(bus.state)
    await mine.write(WHO, at(5))
    await mine.write(WHO, at(3))
    assert mine.get(WHO.id) == at(5)


async def test_ones_own_word_is_no_news_even_if_it_comes_before_its_acknowledgement(bus):
    class Echoing:
        """A bucket whose watcher is quicker than its acknowledgement."""

        async def put(self, key: str, value: bytes, **options: object) -> int:
            revision = await bus.state.put(key, value, **options)
            self.news = mine.note(Entry(key, value, revision))
            return revision

    echoing = Echoing()
    mine = Cursors(echoing)
    assert await mine.write(WHO, at(1))
    assert echoing.news is None
    assert mine.get(WHO.id) == at(1)


async def test_a_cursor_deleted_by_hand_is_a_schedule_never_seen(bus):
    mine = Cursors(bus.state)
    await mine.write(WHO, at(1))
    await bus.state.delete(cursor_key(WHO.id))
    assert not await mine.write(WHO, at(2))
    assert mine.get(WHO.id) is None
    assert await mine.write(WHO, at(2))


async def test_the_schedules_of_a_location_that_ran_last_are_known_by_name(bus):
    mine = Cursors(bus.state)
    await mine.write(WHO, at(1))
    await mine.write(Identity.of("elsewhere", "main", "nightly"), at(1))
    stopped = Progress(through=at(1).through, rule=RULE, active=False)
    await mine.write(Identity.of("code", "main", "stopped"), stopped)
    assert list(mine.active_in("code")) == [WHO]


async def test_keys_that_are_no_cursors_are_ignored(bus):
    mine = Cursors(bus.state)
    cursor = ScheduleCursor(evaluated_through=at(1).through).model_dump_json().encode()
    assert mine.note(Entry("cursor.nonsense", cursor, 5)) is None
