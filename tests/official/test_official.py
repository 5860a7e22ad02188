"""What is written down of the official SDK is true of the one installed here."""

import compare_api
import inngest
import official_style
import pytest

HOW_TO_WRITE = "nox -s official -- --write"


@pytest.fixture(scope="module")
def writing(request):
    return request.config.getoption("--write")


def test_the_page_is_what_the_comparison_writes(writing):
    text = compare_api.page(compare_api.compare())
    if writing:
        compare_api.PAGE.write_text(text, encoding="utf-8")
    written = compare_api.PAGE.read_text(encoding="utf-8")
    assert written == text, f"{compare_api.PAGE.name} is out of date: {HOW_TO_WRITE}"


def test_the_official_sdk_gives_the_stored_answers(writing):
    answers = official_style.all_answers(inngest)
    if writing:
        official_style.write(answers)
    assert answers == official_style.stored(), HOW_TO_WRITE


def test_the_two_are_told_apart():
    assert inngest.Inngest.__module__.split(".")[0] == "inngest"
