"""What is told again, and what is left out."""

from dagwire_launcher.throttle import Throttle


def test_the_first_of_many_alike_is_told_and_then_one_in_a_while_with_how_many_were_left_out():
    now = [0.0]
    throttle = Throttle(10, clock=lambda: now[0])
    assert throttle.admit("refused") == 0
    assert [throttle.admit("refused") for _ in range(3)] == [None] * 3
    assert throttle.admit("another") == 0
    now[0] = 10.0
    assert throttle.admit("refused") == 3
    assert throttle.admit("refused") is None
