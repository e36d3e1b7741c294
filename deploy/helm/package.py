"""Packages the chart: an archive with a repository index, and the same archive as an OCI image layout.

`make chart` runs it. It writes into a folder and pushes nothing; the page install-with-helm says how to publish each.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parent / "dagwire"
HELM: Final = Path(sys.executable).parent / "helm"

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_CONTENT: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def package(folder: Path, *, url: str = "") -> Path:
    """Write the archive and ``index.yaml``, and return the archive's path; ``url``: where the folder will be served."""
    folder.mkdir(parents=True, exist_ok=True)
    said = subprocess.run(
        [str(HELM), "package", str(CHART), "--destination", str(folder)], check=True, capture_output=True, text=True
    )
    subprocess.run([str(HELM), "repo", "index", str(folder), *(["--url", url] if url else [])], check=True)
    return Path(said.stdout.rpartition(": ")[2].strip())


def metadata(archive: Path) -> dict[str, Any]:
    """Return what the archive's Chart.yaml says."""
    with tarfile.open(archive) as opened:
        member = opened.extractfile(f"{CHART.name}/Chart.yaml")
        if member is None:
            raise ValueError(f"{archive} holds no Chart.yaml")
        found: dict[str, Any] = yaml.safe_load(member.read())
    return found


def layout(archive: Path, folder: Path) -> None:
    """Write an OCI image layout that holds the archive as Helm pushes it, tagged with its version."""
    chart = metadata(archive)
    config = _blob(folder, json.dumps(chart).encode(), _CONFIG)
    content = _blob(folder, archive.read_bytes(), _CONTENT)
    annotations = {
        "org.opencontainers.image.title": chart["name"],
        "org.opencontainers.image.version": chart["version"],
        "org.opencontainers.image.description": chart["description"],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": config,
        "layers": [content],
        "annotations": annotations,
    }
    described = _blob(folder, json.dumps(manifest).encode(), _MANIFEST)
    tag = {"org.opencontainers.image.ref.name": chart["version"].replace("+", "_")}
    index = {"schemaVersion": 2, "manifests": [{**described, "annotations": tag}]}
    (folder / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}), encoding="utf-8")


def _blob(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    path = folder / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def main() -> None:
    """Package the chart into the folder of the command line."""
    parser = argparse.ArgumentParser(description="Package the Helm chart.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="", help="where the folder will be served, for index.yaml")
    options = parser.parse_args()
    archive = package(options.folder, url=options.url)
    layout(archive, options.folder / "oci")
    sys.stdout.write(f"{archive}\n{options.folder / 'index.yaml'}\n{options.folder / 'oci'}\n")


if __name__ == "__main__":
    main()
