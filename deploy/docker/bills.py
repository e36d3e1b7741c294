"""Make bills of materials reproducible: a fixed time, and a serial number that follows from the content.

Reads what `uv export` and `npm sbom` wrote; knows nothing of packages.
"""

import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path


def main(folder: Path, bills: list[Path]) -> None:
    """Write each bill into ``folder``, under its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), tz=UTC)
    for path in bills:
        bill = json.loads(path.read_bytes())
        bill.pop("serialNumber", None)
        bill["metadata"]["timestamp"] = made.strftime("%Y-%m-%dT%H:%M:%SZ")
        content = json.dumps(bill, indent=1)
        bill["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, content).urn
        (folder / path.name).write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
