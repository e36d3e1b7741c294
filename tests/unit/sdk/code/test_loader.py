import sys

import pytest
from dagwire.code import CodeLoader, CodeLoadError, DefinitionNotFoundError, load, users_traceback


def fault(pointer) -> str:
    with pytest.raises(CodeLoadError) as caught:
        load(pointer)
    return caught.value.error.message


def test_a_file_with_only_a_job_gets_the_implicit_repository(write, pointer):
    code = load(pointer(python_file=str(write("repo.py"))))

    assert list(code.repositories) == ["__repository__"]
    assert code.job("__repository__", "weather").name == "weather"


def test_a_relative_file_is_looked_for_in_the_working_directory(write, pointer):
    write("inner/repo.py")

    assert load(pointer(python_file="inner/repo.py")).job("__repository__", "weather")


def test_a_module_is_imported_from_the_working_directory(write, pointer):
    write("team/__init__.py", "")
    write("team/jobs.py")

    assert load(pointer(module_name="team.jobs")).job("__repository__", "weather")


def test_a_package_serves_what_its_init_holds(write, pointer):
    write("team/__init__.py", "from team.jobs import weather")
    write("team/jobs.py")

    assert load(pointer(package_name="team")).job("__repository__", "weather")


def test_a_file_imports_from_its_own_folder_and_from_the_working_directory(write, pointer):
    write("shared_one.py", "one = 1")
    write("inner/beside.py", "two = 2")
    file = write(
        "inner/repo.py",
        """
        from beside import two
        from shared_one import one
        from dagwire import job, op

        @op
        def load() -> int:
            return one + two

        @job
        def weather():
            load()
        """,
    )

    assert load(pointer(python_file=str(file))).repositories


def test_a_file_and_those_that_import_it_see_one_module(write, pointer):
    write(
        "repo.py",
        "from dagwire import job, op\nimport helper\n\n@op\ndef load(): ...\n\n@job\ndef weather():\n    load()\n",
    )
    write("helper.py", "def later():\n    import repo\n    return repo\n")

    code = load(pointer(python_file="repo.py"))

    assert sys.modules["helper"].later().weather is code.job("__repository__", "weather")


def test_a_file_named_like_a_library_takes_nobodys_place(write, pointer):
    json_before = sys.modules["json"]

    code = load(pointer(python_file=str(write("json.py"))))

    assert code.job("__repository__", "weather")
    assert sys.modules["json"] is json_before


def test_a_file_whose_name_is_no_identifier_is_loaded(write, pointer):
    assert load(pointer(python_file=str(write("01-weather.job.py")))).job("__repository__", "weather")


def test_a_missing_file_is_named_with_the_place_where_it_was_looked_for(write, pointer, tmp_path):
    assert fault(pointer(python_file="nope.py")) == f"file nope.py does not exist (looked for {tmp_path / 'nope.py'})"


def test_a_folder_is_no_file(pointer, tmp_path):
    assert "is a folder: -f takes a python file" in fault(pointer(python_file=str(tmp_path)))


def test_a_missing_module_is_told_from_a_module_that_fails(write, pointer):
    write("broken.py", "import surely_not_installed")

    assert "module 'absent' was not found in the working directory" in fault(pointer(module_name="absent"))
    assert "No module named 'surely_not_installed'; install it" in fault(pointer(module_name="broken"))


def test_a_file_given_as_a_module_gets_a_hint(write, pointer):
    write("repo.py")

    assert "a file is named with -f" in fault(pointer(module_name="repo.py"))


def test_a_relative_import_in_a_file_gets_a_hint(write, pointer):
    assert "use -m package.module" in fault(pointer(python_file=str(write("repo.py", "from . import x"))))


def test_a_relative_module_name_is_refused(pointer):
    assert "write it in full" in fault(pointer(module_name="..jobs"))


def test_a_module_is_no_package(write, pointer):
    write("repo.py")

    assert fault(pointer(package_name="repo")).endswith("(-m repo)")


def test_a_missing_working_directory_is_named(write, pointer):
    file = write("repo.py")

    assert (
        fault(pointer(python_file=str(file), working_directory="/no/such"))
        == "the working directory /no/such does not exist"
    )


def test_a_module_that_exits_does_not_end_the_process(write, pointer):
    assert "it ended the program (sys.exit(3))" in fault(
        pointer(python_file=str(write("repo.py", "import sys; sys.exit(3)")))
    )


def test_an_import_error_carries_the_users_frames_and_the_chain_of_causes(write, pointer):
    file = write(
        "repo.py",
        """
        def prepare():
            try:
                1 / 0
            except ZeroDivisionError as error:
                raise ValueError("no rate") from error

        prepare()
        """,
    )
    with pytest.raises(CodeLoadError) as caught:
        load(pointer(python_file=str(file)))

    top = caught.value.error
    assert (top.type, top.stack) == ("CodeLoadError", [])
    assert top.cause is not None
    assert top.cause.type == "ValueError"
    assert [frame.split("\n")[0] for frame in top.cause.stack] == [
        f'File "{file}", line 8, in <module>',
        f'File "{file}", line 6, in prepare',
    ]
    assert top.cause.cause is not None
    assert top.cause.cause.type == "ZeroDivisionError"


def test_the_traceback_for_the_log_begins_in_user_code(write, pointer):
    file = write("repo.py", "1 / 0")
    with pytest.raises(CodeLoadError) as caught:
        load(pointer(python_file=str(file)))

    assert caught.value.__cause__ is not None
    trace = users_traceback(caught.value.__cause__)
    assert trace is not None
    assert trace.tb_frame.f_code.co_filename == str(file)


def test_a_syntax_error_shows_the_line_and_the_place(write, pointer):
    file = write("repo.py", "x = 1\n    y = (2\n")
    with pytest.raises(CodeLoadError) as caught:
        load(pointer(python_file=str(file)))

    cause = caught.value.error.cause
    assert cause is not None
    assert cause.type == "IndentationError"
    assert cause.stack == [f'File "{file}", line 2\n    y = (2\n    ^']


def test_an_error_of_a_definition_shows_the_users_line_only(write, pointer):
    file = write("repo.py", "from dagwire import op, job\n\n@op\ndef a(x): ...\n\n@job\ndef j():\n    a(3)\n")
    with pytest.raises(CodeLoadError) as caught:
        load(pointer(python_file=str(file)))

    cause = caught.value.error.cause
    assert cause is not None
    assert cause.type.endswith(".DefinitionError")
    assert cause.stack
    assert all(frame.startswith(f'File "{file}"') for frame in cause.stack)


def test_an_unknown_name_lists_what_there_is(write, pointer):
    code = load(pointer(python_file=str(write("repo.py"))))

    with pytest.raises(DefinitionNotFoundError, match=r"has no job 'other'; it has 'weather'"):
        code.job("__repository__", "other")
    with pytest.raises(DefinitionNotFoundError, match=r"has no repository 'x'; it has '__repository__'"):
        code.repository("x")
    with pytest.raises(DefinitionNotFoundError, match=r"has no schedule 'daily'; it has none"):
        code.schedule("__repository__", "daily")


class TestReload:
    @pytest.fixture(autouse=True)
    def _no_bytecode(self, monkeypatch):
        # Two edits within a second that leave the size alone would meet the first one's bytecode.
        monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def test_a_change_in_the_file_is_seen(self, write, pointer):
        file = write("repo.py")
        loader = CodeLoader(pointer(python_file=str(file)))
        loader.load()
        file.write_text(file.read_text().replace("weather", "climate"))

        assert loader.load().job("__repository__", "climate")

    def test_a_change_in_an_imported_module_is_seen(self, write, pointer):
        write("names.py", "NAME = 'one'")
        text = """
            from dagwire import job, op
            from names import NAME

            @op
            def load(): ...

            @job(name=NAME)
            def j():
                load()
        """
        loader = CodeLoader(pointer(python_file=str(write("repo.py", text))))
        loader.load()
        write("names.py", "NAME = 'two'")

        assert loader.load().job("__repository__", "two")

    def test_a_broken_change_is_an_error_and_its_repair_loads(self, write, pointer):
        file = write("repo.py")
        loader = CodeLoader(pointer(python_file=str(file)))
        good = file.read_text()
        loader.load()

        file.write_text(good + "\nraise RuntimeError('half an edit')\n")
        with pytest.raises(CodeLoadError, match="half an edit"):
            loader.load()
        file.write_text(good)

        assert loader.load().job("__repository__", "weather")

    def test_installed_packages_and_dagwire_are_imported_once(self, write, pointer, tmp_path):
        installed = tmp_path / ".venv/lib/python3/site-packages"
        write(".venv/lib/python3/site-packages/installed_one.py", "state = []")
        sys.path.append(str(installed))
        write(
            "repo.py",
            "import installed_one\nfrom dagwire import job, op\n\n@op\ndef load(): ...\n\n@job\ndef j():\n    load()\n",
        )
        loader = CodeLoader(pointer(python_file="repo.py"))
        loader.load()
        before = sys.modules["installed_one"], sys.modules["dagwire.job"]

        loader.load()

        assert (sys.modules["installed_one"], sys.modules["dagwire.job"]) == before

    def test_what_was_imported_before_the_first_load_stays(self, write, pointer, tmp_path):
        write("early.py", "value = 1")
        sys.path.insert(0, str(tmp_path))
        import early  # noqa: PLC0415 -- it must be imported now, before the loader is made

        loader = CodeLoader(pointer(python_file=str(write("repo.py"))))
        loader.load()
        loader.load()

        assert sys.modules["early"] is early

    def test_a_namespace_package_is_imported_afresh(self, write, pointer):
        write("team/jobs.py")
        loader = CodeLoader(pointer(module_name="team.jobs"))
        first = loader.load()

        assert loader.load().job("__repository__", "weather") is not first.job("__repository__", "weather")

    def test_the_current_directory_does_not_matter(self, write, pointer, monkeypatch):
        file = write("repo.py")
        monkeypatch.chdir("/")

        assert load(pointer(python_file=str(file)))
