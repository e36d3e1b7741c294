import pytest
from dagwire_standalone.code import Sources, codes
from dagwire_standalone.errors import StandaloneError


def named(tmp_path, *files, **sources):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    return codes(Sources(python_files=[str(tmp_path / file) for file in files], **sources), host="127.0.0.1")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("etl.py", "etl"),
        ("01_weather/repo.py", "weather"),
        ("orders/definitions.py", "orders"),
        ("my jobs.py", "my_jobs"),
        ("42.py", "42"),
    ],
)
def test_a_location_is_called_by_its_file_or_by_the_folder_of_a_generic_file(tmp_path, file, name):
    (code,) = named(tmp_path, file)
    assert code.name == name


def test_a_file_is_served_from_its_own_folder(tmp_path):
    (code,) = named(tmp_path, "etl/jobs.py")
    assert code.arguments == ["-f", str(tmp_path / "etl/jobs.py"), "-d", str(tmp_path / "etl")]


def test_a_given_working_directory_wins(tmp_path):
    (code,) = named(tmp_path, "etl/jobs.py", working_directory=str(tmp_path), attribute="defs")
    assert code.working_directory == tmp_path
    assert code.arguments[-2:] == ["-a", "defs"]


def test_modules_and_packages_are_locations_too(tmp_path):
    found = codes(Sources(modules=["acme.etl"], packages=["acme_ml"]), host="127.0.0.1")
    assert [code.name for code in found] == ["acme_etl", "acme_ml"]
    assert found[0].port != found[1].port


def test_two_locations_of_one_name_are_refused(tmp_path):
    with pytest.raises(StandaloneError, match="Two code locations would be called jobs"):
        named(tmp_path, "a/jobs.py", "b/jobs.py")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(StandaloneError, match="There is no file"):
        codes(Sources(python_files=[str(tmp_path / "none.py")]), host="127.0.0.1")


def test_nothing_to_serve_is_refused():
    with pytest.raises(StandaloneError, match="-f FILE"):
        codes(Sources(), host="127.0.0.1")


def test_a_missing_working_directory_is_refused(tmp_path):
    with pytest.raises(StandaloneError, match=r"working directory .* does not exist"):
        codes(Sources(modules=["x"], working_directory=str(tmp_path / "none")), host="127.0.0.1")
