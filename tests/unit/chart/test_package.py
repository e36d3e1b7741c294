"""What `make chart` makes: a real helm installs from the repository and from a registry that holds the OCI layout."""

import http.server
import importlib.util
import json
import subprocess
import threading
from pathlib import Path

import pytest
from support.chart import CHART, HELM

SCRIPT = CHART.parent / "package.py"


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("package", SCRIPT)
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    folder = tmp_path_factory.mktemp("chart")
    archive = package.package(folder, url="http://127.0.0.1:0")
    package.layout(archive, folder / "oci")
    return folder


class Registry(http.server.BaseHTTPRequestHandler):
    """As much of a registry as pulling needs; it serves an OCI layout."""

    layout: Path

    def do_GET(self):
        self.answer(with_body=True)

    def do_HEAD(self):
        self.answer(with_body=False)

    def answer(self, *, with_body):
        _, _, reference = self.path.rpartition("/")
        (tagged,) = json.loads((self.layout / "index.json").read_text())["manifests"]
        digest = (
            tagged["digest"] if reference == tagged["annotations"]["org.opencontainers.image.ref.name"] else reference
        )
        blob = self.layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
        if not blob.is_file():
            self.send_error(404)
            return
        content = blob.read_bytes()
        self.send_response(200)
        media_type = tagged["mediaType"] if "/manifests/" in self.path else "application/octet-stream"
        for name, value in {"Content-Type": media_type, "Docker-Content-Digest": digest}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def helm(*words, home):
    places = {name: str(home / name.lower()) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    return subprocess.run([str(HELM), *words], env=places, check=True, capture_output=True, text=True).stdout


def test_a_registry_that_holds_the_layout_serves_the_chart(packaged, tmp_path):
    server = serve(type("ThisRegistry", (Registry,), {"layout": packaged / "oci"}))
    try:
        address = f"oci://127.0.0.1:{server.server_port}/charts/dagwire"
        shown = helm("template", "dagwire", address, "--version", "0.1.0", "--plain-http", home=tmp_path)
    finally:
        server.shutdown()
    assert "name: dagwire-dagit" in shown


def test_a_folder_that_is_served_is_a_repository(packaged, tmp_path):
    handler = type("Files", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = serve(lambda *words: handler(*words, directory=str(packaged)))
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        index = packaged / "index.yaml"
        index.write_text(index.read_text().replace("http://127.0.0.1:0", url))
        shown = helm("template", "dagwire", "dagwire", "--repo", url, home=tmp_path)
    finally:
        server.shutdown()
    assert "name: dagwire-dagit" in shown


def test_the_package_holds_what_the_templates_read_and_nothing_superfluous(packaged):
    listed = subprocess.run(
        ["tar", "-tzf", str(next(packaged.glob("*.tgz")))], check=True, capture_output=True, text=True
    )
    files = {line.removeprefix("dagwire/") for line in listed.stdout.splitlines()}
    assert files >= {
        "Chart.yaml",
        "README.md",
        "values.yaml",
        "values.schema.json",
        "files/check.py",
        "files/dagster.yaml",
    }
    kept = {path.relative_to(CHART).as_posix() for path in CHART.rglob("*") if path.is_file()}
    assert files == kept - {".helmignore"} | ({".helmignore"} & files)
