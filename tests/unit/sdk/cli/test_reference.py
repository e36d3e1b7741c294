from pathlib import Path

from dagwire.cli import reference
from dagwire.cli.exits import ExitCode

PAGE = Path(__file__).parents[4] / "docs/reference/cli.md"


def test_the_page_in_docs_is_fresh():
    assert PAGE.read_text() == reference.page(), "run `make docs` and commit docs/reference/cli.md"


def test_every_exit_code_is_explained():
    rows = [line.split(" | ")[0].removeprefix("| ") for line in reference.page().splitlines() if line.startswith("| ")]

    assert [str(code.value) for code in ExitCode] == [row for row in rows if row.isdigit()]


def test_every_command_says_what_it_does():
    sections = reference.page().split("\n#")[2:]

    assert len(sections) >= 15
    for section in sections:
        title, _, text = section.partition("\n")
        prose = [line for line in text.splitlines() if line and not line.startswith(("|", "    "))]
        assert prose, f"{title} has no description"
