"""The page about run-pod config names what there is."""

from pathlib import Path

from dagwire_launcher.kubernetes.layers import SAFE
from dagwire_launcher.kubernetes.podconfig import FIELDS

PAGE = (Path(__file__).parents[4] / "docs" / "how-to" / "configure-run-pods.md").read_text()


def test_every_field_is_in_the_table():
    table = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert [field for field in FIELDS if not any(f"`{field}`" in line for line in table)] == []


def test_what_user_code_may_set_by_default_is_named():
    safe = PAGE.split("Without `allow`")[1].split("\n\n")[0]
    assert [field for field in SAFE if f"`{field}`" not in safe] == []
