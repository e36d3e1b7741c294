"""The workspace file: what it may say, and what one is told when it says something else."""

from pathlib import Path

import pytest
from dagwire_shared.locations import CodeServer, InvalidWorkspaceError, read_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace.yaml"


def test_servers_are_read_in_order(workspace):
    workspace.write_text(
        """
load_from:
  - grpc_server:
      host: my-code
      port: 3030
      location_name: my_code
  - grpc_server: {host: "::1", port: "4000", location_name: other, ssl: true}
"""
    )
    assert read_workspace(workspace) == (
        CodeServer(name="my_code", host="my-code", port=3030),
        CodeServer(name="other", host="::1", port=4000, ssl=True),
    )
    assert [server.address for server in read_workspace(workspace)] == ["my-code:3030", "[::1]:4000"]


def test_without_a_name_host_and_port_name_the_location(workspace):
    workspace.write_text("load_from: [{grpc_server: {host: code.svc.local, port: 3030}}]")
    assert [server.name for server in read_workspace(workspace)] == ["code-svc-local-3030"]


@pytest.mark.parametrize("text", ["", "load_from: []", "load_from:", "# nothing yet"])
def test_an_empty_workspace_has_no_servers(workspace, text):
    workspace.write_text(text)
    assert read_workspace(workspace) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("load_from: [", "is not YAML: while parsing a flow"),
        ("- a", "line 1, column 1: expected a mapping with the key 'load_from'"),
        ("loud_from: []", "'loud_from' is not known here; known are load_from"),
        ("{}", "the key 'load_from' is missing"),
        ("load_from: {a: 1}", "line 1, column 12: expected a list"),
        ("load_from: [1]", "expected 'grpc_server"),
        (
            "load_from:\n  - python_file: repo.py",
            "line 2, column 5: found python_file where only",
        ),
        ("load_from:\n  - grpc_server: {host: h}", "line 2, column 5: grpc_server needs port"),
        ("load_from: [{grpc_server: {}}]", "needs host and port"),
        ("load_from: [{grpc_server: {host: h, port: 99999}}]", "'99999' is not a port"),
        ("load_from: [{grpc_server: {host: h, port: -1}}]", "'-1' is not a port"),
        ("load_from: [{grpc_server: {host: [h], port: 1}}]", "expected a host name"),
        ("load_from: [{grpc_server: {host: h, port: 1, ssl: maybe}}]", "neither true nor false"),
        ("load_from: [{grpc_server: {host: h, port: 1, socket: s}}]", "'socket' is not known here"),
        ("load_from: [{grpc_server: {host: h, port: 1, location_name: 'a b'}}]", "'a b' is not a valid code location"),
        ("load_from: [{grpc_server: {host: h, port: 1, port: 2}}]", "'port' is given twice"),
        ("load_from: [{grpc_server: {host: h, port: 1}}, {grpc_server: {host: h, port: 1}}]", "'h-1' is given twice"),
    ],
)
def test_a_wrong_workspace_is_refused_with_the_place(workspace, text, says):
    workspace.write_text(text)
    with pytest.raises(InvalidWorkspaceError) as refused:
        read_workspace(workspace)
    assert says in str(refused.value)
    assert str(workspace) in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_told_of(workspace, tmp_path):
    with pytest.raises(InvalidWorkspaceError, match="cannot be read: No such file"):
        read_workspace(workspace)
    with pytest.raises(InvalidWorkspaceError, match="cannot be read: Is a directory"):
        read_workspace(tmp_path)
    workspace.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidWorkspaceError, match="not UTF-8"):
        read_workspace(workspace)


def test_a_workspace_constructs_no_python_objects(workspace):
    workspace.write_text("load_from: [{grpc_server: {host: !!python/object/apply:os.getcwd [], port: 1}}]")
    with pytest.raises(InvalidWorkspaceError):
        read_workspace(workspace)
