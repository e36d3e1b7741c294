from types import ModuleType

import pytest
from dagwire import Definitions, graph, job, op, repository, schedule
from dagwire.code import CodeLoadError, collect


@op
def load() -> int:
    return 1


def a_job(name: str):
    @job(name=name)
    def made():
        load()

    return made


def a_module(**values: object) -> ModuleType:
    module = ModuleType("repo")
    vars(module).update(values)
    return module


def collected(module: ModuleType, attribute: str | None = None):
    return collect(module, attribute=attribute, place="file repo.py")


def fault(module: ModuleType, attribute: str | None = None) -> str:
    with pytest.raises(CodeLoadError) as caught:
        collected(module, attribute)
    return caught.value.error.message


def test_repositories_are_served_and_bare_jobs_beside_them_are_not():
    first, second = a_job("first"), a_job("second")

    @repository
    def team():
        return [first]

    found = collected(a_module(team=team, first=first, second=second))

    assert {name: list(one.jobs) for name, one in found.items()} == {"team": ["first"]}


def test_definitions_are_served_as_the_implicit_repository():
    found = collected(a_module(defs=Definitions(jobs=[a_job("first")])))

    assert {name: list(one.jobs) for name, one in found.items()} == {"__repository__": ["first"]}


def test_one_job_under_two_names_is_one_job():
    first = a_job("first")

    assert list(collected(a_module(first=first, again=first))["__repository__"].jobs) == ["first"]


def test_a_bare_schedule_brings_its_job_along():
    first = a_job("first")

    @schedule("0 6 * * *", job=first)
    def daily():
        return {}

    found = collected(a_module(daily=daily))["__repository__"]

    assert (list(found.jobs), list(found.schedules)) == (["first"], ["daily"])


def test_two_jobs_of_one_name_are_refused():
    module = a_module(one=a_job("same"), other=a_job("same"))

    assert fault(module) == "file repo.py defines two jobs named 'same': rename one of them"


def test_two_definitions_are_refused():
    module = a_module(a=Definitions(jobs=[a_job("x")]), b=Definitions(jobs=[a_job("y")]))

    assert "two repositories named '__repository__'" in fault(module)


def test_an_attribute_chooses_one_of_several():
    module = a_module(one=a_job("one"), other=a_job("other"))

    assert list(collected(module, "other")["__repository__"].jobs) == ["other"]


def test_an_attribute_may_be_a_graph():
    @graph
    def plain():
        load()

    assert list(collected(a_module(plain=plain), "plain")["__repository__"].jobs) == ["plain"]


def test_dots_reach_into_an_attribute():
    holder = a_module(inner=a_job("deep"))

    assert list(collected(a_module(holder=holder), "holder.inner")["__repository__"].jobs) == ["deep"]


def test_a_missing_attribute_names_the_candidates():
    assert fault(a_module(one=a_job("one")), "two") == "file repo.py has no attribute 'two'; it could serve one"


def test_an_attribute_of_another_kind_is_refused():
    message = fault(a_module(number=3), "number")

    assert message.startswith("'number' of file repo.py is a value of type int, not a @repository")


def test_an_empty_module_says_what_is_missing():
    assert "needs a @repository, Definitions or a @job at its top level" in fault(a_module())


def test_an_empty_package_says_where_it_was_looked_for():
    assert "a package serves what its __init__.py imports" in fault(a_module(__path__=[]))
