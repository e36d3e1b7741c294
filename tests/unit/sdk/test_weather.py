"""The first example does what its README says."""

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagwire import InvalidConfigError, RunRequest, SkipReason, build_schedule_context
from dagwire_shared.events import ExpectationChecked

EXAMPLE = Path(__file__).parents[3] / "examples" / "01_weather"


@pytest.fixture(scope="module")
def repo():
    spec = importlib.util.spec_from_file_location("weather_example", EXAMPLE / "repo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def run(repo, tmp_path):
    config = {"resources": {"reports": {"config": {"directory": str(tmp_path)}}}}
    return lambda preset=None: repo.weather_report.execute_in_process(config, preset=preset)


def test_the_repository_serves_the_job_and_its_schedule(repo):
    assert repo.weather.name == "weather"
    assert list(repo.weather.jobs) == ["weather_report"]
    assert list(repo.weather.schedules) == ["every_morning"]
    assert len(repo.weather_report.graph.nodes) >= 6


def test_all_years_are_compared(run):
    result = run("all_years")
    assert result.skipped_nodes() == {}
    compared = result.output_for_node("compare_years").table
    assert compared["year"].to_list() == [2012, 2013, 2014, 2015]
    assert result.output_for_node("read_observations").height == 1461


@pytest.mark.parametrize("preset", [None, "one_year"])
def test_one_year_has_nothing_to_compare_and_its_report_is_written_all_the_same(run, preset, tmp_path):
    result = run(preset)
    assert result.success
    assert list(result.skipped_nodes()) == ["compare_years"]
    (asset,) = result.asset_materializations_for_node("write_report")
    assert asset.asset_key == ["weather", "report"]
    assert asset.metadata["sections"].value == 3
    report = asset.metadata["report"].value
    assert (tmp_path / f"{result.run_id}.md").read_text(encoding="utf-8") == report
    assert "## Wettest days" in report


def test_the_observations_pass_their_checks(run):
    checks = [event for event in run("all_years").events if isinstance(event, ExpectationChecked)]
    assert [check.success for check in checks] == [True, True]


def test_a_year_without_observations_is_refused(repo):
    with pytest.raises(InvalidConfigError, match=r"read_observations\.config\.first: Input should be"):
        repo.weather_report.execute_in_process({"ops": {"read_observations": {"config": {"first": 1999}}}})


def test_the_schedule_asks_for_a_report_that_can_be_run_except_on_sundays(repo):
    def tick(day):
        return repo.every_morning.evaluate(build_schedule_context(datetime(2024, 7, day, 13, 0, tzinfo=UTC)))

    (request,) = tick(6)
    assert isinstance(request, RunRequest)
    assert request.job_name == "weather_report"
    repo.weather_report.resolve_config(request.run_config)
    assert tick(7) == SkipReason("no report on Sundays")
