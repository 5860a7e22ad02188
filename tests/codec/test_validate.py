"""Checks of a user's values that several modules share."""

import datetime

import pytest

from inngest_wsgi._codec import validate


@pytest.mark.parametrize("value", ["a", " a ", "'ä'"])
def test_text(value):
    assert validate.text(value) == validate.expression(value) == value


@pytest.mark.parametrize("value", ["", " \t\n", None, 1, b"a", ["a"]])
def test_text_that_is_refused(value):
    with pytest.raises(ValueError, match="^must be text, and not empty$"):
        validate.text(value)
    with pytest.raises(ValueError, match="^must be a CEL expression, not "):
        validate.expression(value)


@pytest.mark.parametrize("value, least, most", [(0, 0, None), (10**30, 0, None), (3, 3, 3)])
def test_whole_numbers(value, least, most):
    assert validate.whole_number(value, least, most) == value


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, 0, 4])
def test_whole_numbers_that_are_refused(value):
    with pytest.raises(ValueError, match="^must be a whole number from 1 to 3$"):
        validate.whole_number(value, 1, 3)
    with pytest.raises(ValueError, match="^must be a whole number, 5 or more$"):
        validate.whole_number(value, 5)


def test_one_of():
    assert validate.one_of("skip", "skip", "cancel") == "skip"
    for value in ("SKIP", None, ["skip"]):
        with pytest.raises(ValueError, match="^must be one of skip, cancel, not "):
            validate.one_of(value, "skip", "cancel")


def test_durations():
    assert validate.milliseconds("1m30s") == 90_000
    assert validate.milliseconds(datetime.timedelta(seconds=1), 1000, 1000) == 1000


@pytest.mark.parametrize(
    "value, least, most, message",
    [
        ("1s", 2000, None, "must be 2s or more"),
        ("8d", 1000, 7 * 86400 * 1000, "must be from 1s to 7d"),
        ("soon", 0, None, "'soon' is not a time string"),
        (None, 0, None, "a duration is milliseconds"),
    ],
)
def test_durations_that_are_refused(value, least, most, message):
    with pytest.raises(ValueError, match="^" + message):
        validate.milliseconds(value, least, most)
