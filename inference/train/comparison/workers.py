"""Processes that share the runs of a comparison, each bound to cores of its own.

A second core makes a run of networks this small only a third quicker, so as many runs as there are cores are trained at once
(bench/performance/notes.md has the figures).
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
    """Runs a command `count` times at once with --jobs 1, at most once for each core; returns the first exit status that is not 0, or 0.

    The command claims each of its runs, so each is done once. After Ctrl-C or SIGTERM the processes end as the command does after Ctrl-C.
    """
    mine, running = cores(), []
    count = min(count, len(mine))
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for n in range(count):
            os.sched_setaffinity(0, mine[n::count])  # a process has the cores of the thread that starts it
            # A session of its own: a terminal's Ctrl-C reaches it through here, once.
            running.append(subprocess.Popen([sys.executable, "-m", module, *arguments, "--jobs", "1"], start_new_session=True))
        os.sched_setaffinity(0, mine)
        found = [process.wait() for process in running]
    finally:
        os.sched_setaffinity(0, mine)
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in running:
            process.wait()
        signal.signal(signal.SIGTERM, before)
    return next((status for status in found if status), 0)
