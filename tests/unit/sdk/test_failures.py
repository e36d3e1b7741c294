"""Exceptions as text: types, messages, frames and causes, however odd the exception."""

from json import JSONDecodeError

from dagwire import ExecutionError, Failure
from dagwire.errors import error_info


def caught(function):
    try:
        function()
    except BaseException as error:  # noqa: BLE001 -- whatever it is
        return error_info(error)
    raise AssertionError("it did not raise")


def test_an_exception_has_its_type_message_and_frames():
    def fail():
        raise ValueError("no")

    info = caught(fail)
    assert (info.type, info.message, info.cause) == ("ValueError", "no", None)
    assert info.stack[-1].startswith(f'File "{__file__}", line ')
    assert info.stack[-1].splitlines()[1].strip() == 'raise ValueError("no")'


def test_the_cause_is_told_whether_it_was_stated_or_not():
    def stated():
        raise RuntimeError("outer") from KeyError("inner")

    def implied():
        try:
            {}["inner"]
        except KeyError:
            raise RuntimeError("outer")  # noqa: B904 -- that is the point

    def hidden():
        try:
            {}["inner"]
        except KeyError:
            raise RuntimeError("outer") from None

    for function in (stated, implied):
        info = caught(function)
        assert info.cause is not None
        assert info.cause.type == "KeyError"
    assert caught(hidden).cause is None


def test_a_chain_that_bites_its_tail_ends():
    def fail():
        one, two = ValueError("one"), ValueError("two")
        one.__cause__, two.__cause__ = two, one
        raise one

    info = caught(fail)
    assert info.cause is not None
    assert (info.message, info.cause.message, info.cause.cause) == ("one", "two", None)


def test_names_of_modules_are_told_except_where_they_say_nothing():
    assert error_info(ValueError()).type == "ValueError"
    assert error_info(Failure()).type == "dagwire.Failure"
    assert error_info(ExecutionError()).type == "dagwire.ExecutionError"
    assert error_info(JSONDecodeError("no", "", 0)).type == "json.decoder.JSONDecodeError"


def test_an_exception_whose_text_fails_is_told_all_the_same():
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert error_info(BrokenError()).message == "(its message cannot be shown: RuntimeError('no text'))"


def test_a_group_names_its_members():
    group = ExceptionGroup("several", [ValueError("a"), KeyError("b")])
    assert error_info(group).message == "several (2 sub-exceptions); ValueError: a; KeyError: 'b'"


def test_a_deep_recursion_is_shortened():
    def fall(n):
        return down(n + 1)

    def down(n):
        return fall(n + 1)

    info = caught(lambda: fall(0))
    assert info.type == "RecursionError"
    assert len(info.stack) == 61
    assert "more frames" in info.stack[30]


def test_a_very_long_message_is_cut():
    info = error_info(ValueError("x" * 50_000))
    assert len(info.message) < 11_000
    assert info.message.endswith("… (50000 characters)")
