"""User code whose steps run in workers of their own, for the tests of whoever creates those."""

STEP_CODE = """
import os, time
from dagwire import job, kubernetes_executor, op

@op
def first():
    return 1

@op
def add(context, numbers: list[int]):
    with open(context.get_tag("journal"), "a") as journal:
        journal.write(f"{context.step_key} {os.getpid()}\\n")
    return sum(numbers)

@job(executor_def=kubernetes_executor)
def fan():
    one = first()
    add.alias("all")([add.alias(f"part_{n}")([one]) for n in range(4)])

@op
def wait_for_file(context):
    with open(context.get_tag("journal"), "a") as journal:
        journal.write(f"waits {os.getpid()}\\n")
    print("waiting", flush=True)
    while not os.path.exists(context.get_tag("file")):
        time.sleep(0.01)
    return 1

@job(executor_def=kubernetes_executor)
def waiting():
    wait_for_file()

@op
def stubborn():
    print("waiting", flush=True)
    while True:
        try:
            while True:
                time.sleep(0.05)
        except BaseException:
            pass

@job(executor_def=kubernetes_executor)
def staying():
    stubborn()
"""
