"""The first process of a container, played by a process that adopts orphans as that one does."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux's")

FIRST = """
import ctypes, os, signal, subprocess, sys, time

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans become this process's children
real, os.getpid = os.getpid, lambda: 1
from dagwire.reaper import stand_apart
before = real()
stand_apart()
os.getpid = real
assert os.getpid() != before
"""


def start(body: str) -> subprocess.Popen[str]:
    code = FIRST + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("sys.exit(0)", 0),
        ("os._exit(75)", 75),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
        ("os.abort()", 128 + signal.SIGABRT),
        ("ctypes.string_at(0)", 128 + signal.SIGSEGV),
    ],
)
def test_it_ends_as_its_child_did(body: str, code: int):
    assert ended(start(body))[0] == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_child_which_decides(number: signal.Signals):
    process = start(
        """
        def on(number, frame):
            print("heard", number, flush=True)
            sys.exit(3)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, on)
        print("ready", flush=True)
        while True:
            signal.pause()
        """
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert ended(process)[:2] == (3, f"heard {int(number)}\n")


def test_a_signal_that_the_child_does_not_handle_ends_it():
    process = start("print('ready', flush=True)\ntime.sleep(60)")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 128 + signal.SIGTERM


def test_orphans_are_collected_while_the_child_goes_on_and_its_own_children_are_left_to_it():
    code, out, err = ended(
        start(
            """
            orphan = subprocess.run(["sh", "-c", "sleep 0.05 & echo $!"], capture_output=True, text=True).stdout.strip()
            own = subprocess.Popen(["sh", "-c", "exit 7"])
            for _ in range(500):
                if not os.path.exists(f"/proc/{orphan}"):
                    break
                time.sleep(0.01)
            else:
                sys.exit("the orphan is still there")
            print(own.wait())
            """
        )
    )
    assert (code, out, err) == (0, "7\n", "")


def test_any_other_process_goes_on_as_it_is():
    command = (
        "import os\nfrom dagwire.reaper import stand_apart\na = os.getpid()\nstand_apart()\nprint(a == os.getpid())"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert os.getpid() != 1
