"""Processes that share the runs of a comparison, each bound to cores of its own.

Networks this small gain little from a second core. So as many runs at once as there are
cores take less time than one after the other on all cores, and their figures are the same
within the scatter of a seed.
"""

import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import sys

MOST = 4  # by default; each takes some 2 GB


def cores():
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def default():
    return min(len(cores()), MOST)


@contextlib.contextmanager
def claimed(path):
    """Whether no other process has claimed the path, a file that is made; the claim ends with the block or the process."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def spread(module, arguments, count):
    """Runs a command `count` times at once with --jobs 1; returns the first exit status that is not 0, or 0.

    The command claims each of its runs, so each is done once. After Ctrl-C the processes end as the command does.
    """
    mine = cores()
    bound = [mine[n::count] or mine for n in range(count)]
    running = [subprocess.Popen([sys.executable, "-m", module, *arguments, "--jobs", "1"], preexec_fn=lambda some=some: os.sched_setaffinity(0, some))
               for some in bound]
    try:
        found = [process.wait() for process in running]
    except BaseException:
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            process.wait()
        raise
    return next((status for status in found if status), 0)
