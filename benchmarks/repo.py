"""Jobs that the benchmarks run: one op, ten in a row and side by side by each executor, many log lines."""

from dagwire import Config, In, Nothing, Out, job, kubernetes_executor, multiprocess_executor, op, repository


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


# Ten steps that hand nothing on, so that pods need no volume: one after the other, and side by side.


@op(ins={"after": In(Nothing)}, out=Out(Nothing))
def follow():
    pass


@op(out=Out(Nothing))
def begin():
    pass


def _ten_in_a_row():
    done = begin()
    for _ in range(9):
        done = follow(done)


def _ten_at_once():
    for number in range(10):
        begin.alias(f"begin_{number}")()


@job(executor_def=multiprocess_executor)
def row_multiprocess():
    _ten_in_a_row()


@job(executor_def=multiprocess_executor.configured({"reuse_processes": False}))
def row_fresh_processes():
    _ten_in_a_row()


@job(executor_def=kubernetes_executor)
def row_kubernetes():
    _ten_in_a_row()


@job(executor_def=multiprocess_executor)
def wide_multiprocess():
    _ten_at_once()


@job(executor_def=multiprocess_executor.configured({"reuse_processes": False}))
def wide_fresh_processes():
    _ten_at_once()


@job(executor_def=kubernetes_executor)
def wide_kubernetes():
    _ten_at_once()


@job
def lines():
    write_lines()


@repository
def benchmarks():
    rows = [row_multiprocess, row_fresh_processes, row_kubernetes]
    wide = [wide_multiprocess, wide_fresh_processes, wide_kubernetes]
    return [one_op, chain, chain_multiprocess, *rows, *wide, lines]
