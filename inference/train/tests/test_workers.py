"""Runs of a comparison that several processes share."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from inference.train.comparison import workers

# Claims ten runs one after the other, as a command does, and notes which were its own and on which cores.
COMMAND = """
import os, pathlib, sys, time
from inference.train.comparison import workers
out = pathlib.Path(sys.argv[1])
assert sys.argv[2:] == ["--jobs", "1"]
for n in range(10):
    with workers.claimed(out / f"{n}.claim") as mine:
        if mine and not (out / f"{n}.done").exists():
            with (out / f"{n}.log").open("a") as log:
                log.write(f"{os.getpid()} {sorted(os.sched_getaffinity(0))}\\n")
            time.sleep(0.2)
            (out / f"{n}.done").touch()
sys.exit({status})
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Writes a module with a command that ends with a status, and returns its name."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    def write(status=0, seconds=0.2):
        (tmp_path / "shared_command.py").write_text(COMMAND.replace("{status}", str(status)).replace("0.2", str(seconds)))
        return "shared_command"

    return write


def test_each_run_is_done_once_by_a_process_with_cores_of_its_own(command, tmp_path):
    assert workers.spread(command(), [str(tmp_path)], 2) == 0
    told = [(tmp_path / f"{n}.log").read_text().splitlines() for n in range(10)]
    assert all(len(lines) == 1 for lines in told)
    by = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for lines in told for line in lines}
    if len(workers.cores()) > 1:
        assert len(by) == 2 and len(set(by.values())) == 2, "both had runs"


def test_a_process_that_fails_is_told(command, tmp_path):
    assert workers.spread(command(status=2), [str(tmp_path)], 2) == 2


def test_a_claim_ends_with_its_process(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", f"""
import time
from inference.train.comparison import workers
with workers.claimed({str(tmp_path / 'a')!r}) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n"
    with workers.claimed(tmp_path / "a") as mine:
        assert not mine
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with workers.claimed(tmp_path / "a") as mine:
        assert mine


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_processes(command, tmp_path, stop):
    parent = subprocess.Popen([sys.executable, "-c", f"""
from inference.train.comparison import workers
workers.spread({command(seconds=5)!r}, [{str(tmp_path)!r}], 2)
"""], start_new_session=True)
    while not (told := [text for log in tmp_path.glob("*.log") if (text := log.read_text())]):
        time.sleep(0.05)
    pids = [int(text.split()[0]) for text in told]
    parent.send_signal(stop)
    assert parent.wait(timeout=20) != 0
    assert not list(tmp_path.glob("*.done"))
    assert not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), "they have ended"
