"""A cancel order becomes one exception in the main thread."""

import signal
import threading

import pytest
from dagwire.execute import RunCancellation
from dagwire.worker.cancellation import Cancellation


@pytest.fixture
def asked():
    return []


@pytest.fixture
def cancellation(asked):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    one = Cancellation(asked=lambda: asked.append(True))
    one.install()
    yield one
    one.disarm()
    for number, handler in before.items():
        signal.signal(number, handler)


def from_another_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_an_order_from_another_thread_breaks_off_what_the_main_thread_waits_for(cancellation, asked):
    thread = threading.Timer(0.05, lambda: cancellation.request("Canceled by ada."))
    thread.start()
    with pytest.raises(RunCancellation, match="by ada"):
        threading.Event().wait(10)
    assert asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_too_and_is_named(cancellation, number):
    with pytest.raises(RunCancellation, match=number.name):
        signal.raise_signal(number)


def test_it_is_raised_once_only(cancellation):
    with pytest.raises(RunCancellation):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    cancellation.request("again")
    assert "SIGTERM" in cancellation.message


def test_inside_it_waits_until_the_outermost_end(cancellation):
    reached = []

    def work():
        with cancellation:
            with cancellation:
                signal.raise_signal(signal.SIGTERM)
                reached.append("inner")
            reached.append("outer")
        reached.append("never")

    with pytest.raises(RunCancellation):
        work()
    assert reached == ["inner", "outer"]


def test_an_error_inside_is_not_hidden(cancellation):
    def work():
        with cancellation:
            signal.raise_signal(signal.SIGTERM)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def test_other_threads_hold_nothing_back(cancellation):
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with cancellation:
            inside.set()
            leave.wait()

    thread = from_another_thread(stay)
    inside.wait()
    with pytest.raises(RunCancellation):
        signal.raise_signal(signal.SIGTERM)
    leave.set()
    thread.join()


def test_after_the_run_it_is_for_nothing(cancellation):
    cancellation.disarm()
    signal.raise_signal(signal.SIGTERM)
