"""A weather report from four years of daily observations in Seattle."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from dagwire import (
    AssetMaterialization,
    Config,
    ConfigurableResource,
    ExpectationResult,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    Out,
    Output,
    Preset,
    RunConfig,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    job,
    op,
    repository,
    schedule,
)
from pydantic import Field

DATA = Path(__file__).parent / "seattle-weather.csv"
FIRST_YEAR, LAST_YEAR = 2012, 2015


@dataclass(frozen=True)
class Section:
    """One table of the report."""

    title: str
    table: pl.DataFrame

    def as_markdown(self) -> str:
        """Return the section as Markdown."""
        header = "| " + " | ".join(self.table.columns) + " |"
        rule = "|" + " --- |" * self.table.width
        rows = ["| " + " | ".join(str(value) for value in row) + " |" for row in self.table.iter_rows()]
        return "\n".join([f"## {self.title}", "", header, rule, *rows])


class ReportFolder(ConfigurableResource):
    """Where reports are kept."""

    directory: str = str(Path(tempfile.gettempdir()) / "dagwire-weather")

    def write(self, name: str, text: str) -> Path:
        """Write a report and return where it is."""
        path = Path(self.directory) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


class Years(Config):
    """Which observations the report is about."""

    first: int = Field(default=LAST_YEAR, ge=FIRST_YEAR, le=LAST_YEAR)
    last: int = Field(default=LAST_YEAR, ge=FIRST_YEAR, le=LAST_YEAR)


@op
def read_observations(context: OpExecutionContext, config: Years) -> pl.DataFrame:
    """Read the daily observations of the chosen years."""
    days = pl.read_csv(DATA).with_columns(pl.col("date").str.to_date("%Y/%m/%d"))
    days = days.filter(pl.col("date").dt.year().is_between(config.first, config.last))
    context.log.info("observations read", extra={"days": days.height, "first": config.first, "last": config.last})
    context.add_output_metadata({"days": days.height, "file": DATA})
    return days


@op
def check_observations(days: pl.DataFrame) -> Iterator[ExpectationResult | Output[pl.DataFrame]]:
    """Check that the observations can be trusted, and pass them on."""
    swapped = days.filter(pl.col("temp_min") > pl.col("temp_max"))
    yield ExpectationResult(days["date"].is_unique().all(), "each day is there once", metadata={"days": days.height})
    yield ExpectationResult(swapped.is_empty(), "no night is warmer than its day", metadata={"rows": swapped.height})
    yield Output(days)


@op
def monthly_climate(days: pl.DataFrame) -> Section:
    """Average temperature, and rain, month by month."""
    months = days.group_by(pl.col("date").dt.month().alias("month")).agg(
        ((pl.col("temp_max") + pl.col("temp_min")) / 2).mean().round(1).alias("°C"),
        (pl.col("precipitation").sum() / pl.col("date").dt.year().n_unique()).round(0).alias("mm of rain"),
    )
    return Section("Month by month", months.sort("month"))


@op
def kinds_of_weather(days: pl.DataFrame) -> Section:
    """How many days had which weather."""
    return Section("Kinds of weather", days["weather"].value_counts(sort=True, name="days"))


class Wettest(Config):
    """How long the list is."""

    count: int = Field(default=5, ge=1, le=50)


@op
def wettest_days(days: pl.DataFrame, config: Wettest) -> Section:
    """The days with the most rain."""
    wettest = days.sort("precipitation", descending=True).head(config.count)
    return Section("Wettest days", wettest.select("date", pl.col("precipitation").alias("mm of rain")))


@op(out={"several_years": Out(pl.DataFrame, is_required=False)})
def if_several_years(days: pl.DataFrame) -> Iterator[Output[pl.DataFrame]]:
    """Pass the observations on if there are years to compare; otherwise what follows is skipped."""
    if days["date"].dt.year().n_unique() > 1:
        yield Output(days, "several_years")


@op
def compare_years(days: pl.DataFrame) -> Section:
    """One line per year."""
    years = days.group_by(pl.col("date").dt.year().alias("year")).agg(
        pl.col("temp_max").max().alias("hottest, °C"),
        pl.col("temp_min").min().alias("coldest, °C"),
        pl.col("precipitation").sum().round(0).alias("mm of rain"),
    )
    return Section("Year by year", years.sort("year"))


@op
def write_report(context: OpExecutionContext, sections: list[Section], reports: ReportFolder) -> None:
    """Put the sections together and write them where reports are kept."""
    text = "\n\n".join(["# Weather in Seattle", *(section.as_markdown() for section in sections)])
    path = reports.write(f"{context.run_id}.md", text)
    print(f"the report is in {path}")  # noqa: T201 -- what a script prints is in the run's log too
    context.log_event(
        AssetMaterialization(
            ["weather", "report"],
            description="The report as Markdown.",
            metadata={"report": MetadataValue.md(text), "path": path, "sections": len(sections)},
        )
    )


ALL_YEARS = Preset(
    "all_years",
    description="Everything, with the years compared.",
    run_config=RunConfig(ops={"read_observations": Years(first=FIRST_YEAR, last=LAST_YEAR)}),
)
ONE_YEAR = Preset(
    "one_year",
    description="One year and a short list; there is nothing to compare.",
    run_config=RunConfig(ops={"read_observations": Years(first=2014, last=2014), "wettest_days": Wettest(count=3)}),
)


@job(resource_defs={"reports": ReportFolder()}, presets=[ALL_YEARS, ONE_YEAR], tags={"team": "weather"})
def weather_report() -> None:
    """Turn daily observations into a report."""
    days = check_observations(read_observations())
    sections = [
        monthly_climate(days),
        kinds_of_weather(days),
        wettest_days(days),
        compare_years(if_several_years(days)),
    ]
    write_report(sections)


@schedule("0 6 * * *", job=weather_report, execution_timezone="America/Los_Angeles")
def every_morning(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
    """A report every morning, about the years in turn; none on Sundays."""
    today = context.scheduled_execution_time
    if today.strftime("%A") == "Sunday":
        return SkipReason("no report on Sundays")
    year = FIRST_YEAR + today.toordinal() % (LAST_YEAR - FIRST_YEAR + 1)
    config = RunConfig(ops={"read_observations": Years(first=year, last=year)})
    return RunRequest(run_config=config, tags={"year": str(year)})


@repository
def weather() -> list[JobDefinition | ScheduleDefinition]:
    """The weather report and its schedule."""
    return [weather_report, every_morning]
