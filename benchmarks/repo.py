"""Jobs that the benchmarks run: one op, a chain of ten (in one process, in many), many log lines."""

from dagwire import Config, job, multiprocess_executor, op, repository


@op
def nothing():
    pass


@op
def first() -> int:
    return 0


@op
def add_one(number: int) -> int:
    return number + 1


class Lines(Config):
    count: int = 20_000


@op
def write_lines(context, config: Lines):
    for number in range(config.count):
        context.log.info("line %d of a run that has a lot to say about its rows", number)


@job
def one_op():
    nothing()


def _chain():
    number = first()
    for _ in range(9):
        number = add_one(number)


@job
def chain():
    _chain()


@job(executor_def=multiprocess_executor)
def chain_multiprocess():
    _chain()


@job
def lines():
    write_lines()


@repository
def benchmarks():
    return [one_op, chain, chain_multiprocess, lines]
