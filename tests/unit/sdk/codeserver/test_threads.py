import asyncio
import threading

import pytest
from dagwire.codeserver.threads import UserCode, UserCodeExitError, UserCodeTimeoutError, run_alone


@pytest.fixture
def gate():
    """An event that user code waits for; open at the end, so that no thread outlives the test."""
    event = threading.Event()
    yield event
    event.set()


def waiting(gate: threading.Event) -> None:
    gate.wait()


def raising(error: BaseException):
    def function():
        raise error

    return function


async def test_it_returns_what_the_code_returns():
    assert await UserCode(limit=1, deadline=5).call("key", "it", lambda: 3) == 3


async def test_it_raises_what_the_code_raises():
    with pytest.raises(ValueError, match="no"):
        await UserCode(limit=1, deadline=5).call("key", "it", raising(ValueError("no")))


async def test_a_stop_iteration_comes_through():
    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        await UserCode(limit=1, deadline=5).call("key", "it", raising(StopIteration()))


async def test_an_exit_of_the_code_is_not_the_servers():
    with pytest.raises(UserCodeExitError, match="SystemExit"):
        await UserCode(limit=1, deadline=5).call("key", "it", raising(SystemExit(1)))


async def test_code_that_hangs_is_left_and_its_place_is_shown(gate):
    with pytest.raises(UserCodeTimeoutError, match=r"schedule 'daily' did not answer within 0\.05 s") as caught:
        await UserCode(limit=1, deadline=0.05).call("key", "schedule 'daily'", lambda: waiting(gate))

    assert "gate.wait()" in caught.value.stack[-1]


async def test_a_question_that_hangs_gets_no_second_thread_until_it_has_ended(gate):
    user_code = UserCode(limit=4, deadline=0.05)
    with pytest.raises(UserCodeTimeoutError):
        await user_code.call("a", "a", gate.wait)

    with pytest.raises(UserCodeTimeoutError, match="gets no second one"):
        await user_code.call("a", "a", lambda: 1)
    assert await user_code.call("b", "b", lambda: 2) == 2

    stuck = [thread for thread in threading.enumerate() if thread.name == "a"]
    gate.set()
    for thread in stuck:
        thread.join(5)
    assert await user_code.call("a", "a", lambda: 3) == 3


async def test_a_hanging_question_takes_no_slot_from_others(gate):
    user_code = UserCode(limit=1, deadline=0.05)
    with pytest.raises(UserCodeTimeoutError):
        await user_code.call("a", "a", gate.wait)

    assert await user_code.call("b", "b", lambda: 2) == 2


async def test_waiting_for_a_slot_counts_against_the_deadline(gate):
    user_code = UserCode(limit=1, deadline=5)
    first = asyncio.create_task(user_code.call("a", "a", gate.wait))
    await asyncio.sleep(0)  # lets the first one take the slot

    with pytest.raises(UserCodeTimeoutError, match=r"had to wait longer than 0\.05 s"):
        await user_code.call("b", "b", lambda: 2, patience=0.05)
    gate.set()
    await first


async def test_a_caller_who_goes_away_leaves_a_marked_thread(gate):
    user_code = UserCode(limit=1, deadline=5)
    asking = asyncio.create_task(user_code.call("a", "a", gate.wait))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    with pytest.raises(UserCodeTimeoutError, match="gets no second one"):
        await user_code.call("a", "a", lambda: 1)


async def test_equal_questions_are_answered_side_by_side_while_none_is_late():
    together = threading.Barrier(2, timeout=5)
    user_code = UserCode(limit=2, deadline=5)

    await asyncio.gather(user_code.call("a", "a", together.wait), user_code.call("a", "a", together.wait))


async def test_a_load_has_no_deadline():
    assert await run_alone("load", lambda: 1) == 1
