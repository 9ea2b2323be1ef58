"""The meter: CPU time, memory and instructions of a peer, all its processes together.

CPU time and memory come from /proc. Instructions come from `perf stat`; where the machine has no counters (many virtual ones have
none), the figure is absent rather than guessed.
"""

import os
import re
import select
import shutil
import signal
import subprocess
from pathlib import Path

from process import Process, stat

EVENTS = {"instructions:u": "user_instructions", "instructions:k": "kernel_instructions"}
ACK_SECONDS_MAX = 5


def cpu_seconds(process):
    """User and system time so far, with that of children which have ended and been waited for."""
    ticks = sum(fields.cpu for pid in process.tree() if (fields := stat(pid)))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(process):
    """RSS counts a page once for each process that maps it; PSS shares it out among all that do, the upstream included."""
    pids = process.tree()
    rss = [kib(f"/proc/{pid}/status", "VmRSS") for pid in pids]
    pss = [kib(f"/proc/{pid}/smaps_rollup", "Pss") for pid in pids]
    return {"rss_mb": sum(rss) / 1024, "pss_mb": sum(pss) / 1024}


def kib(path, key):
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB", Path(path).read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0  # a child that has just ended
    return int(found[1]) if found else 0


class Instructions:
    """Counts between `with` and its end. `counts` is empty where nothing can be counted."""

    def __init__(self, process, directory, counted):
        self.counts = {}
        self.process = process
        self.directory = directory
        self.counted = counted

    def __enter__(self):
        if self.counted:
            self.order, theirs_in = os.pipe()[::-1]
            self.acks, theirs_out = os.pipe()
            self.figures = Path(self.directory) / "perf"
            pids = ",".join(str(pid) for pid in self.process.tree())
            command = ["perf", "stat", "-x;", "-e", ",".join(self.counted), "-o", self.figures, "-p", pids, "-D", "-1"]
            command += ["--control", f"fd:{theirs_in},{theirs_out}"]
            self.perf = Process(command, self.directory, pass_fds=(theirs_in, theirs_out))
            os.close(theirs_in)
            os.close(theirs_out)
            self.tell("enable")
        return self

    def __exit__(self, failure, *_):
        if not self.counted:
            return
        try:
            if failure is None:
                self.tell("disable")
                self.perf.stop(signal.SIGINT)
                self.counts = parse(self.figures.read_text())
        finally:
            self.perf.stop()
            os.close(self.order)
            os.close(self.acks)

    def tell(self, word):
        """perf says when it has begun and when it has stopped to count, so nothing before or after is counted."""
        os.write(self.order, f"{word}\n".encode())
        if not select.select([self.acks], [], [], ACK_SECONDS_MAX)[0] or not os.read(self.acks, 64):
            self.perf.stop()
            raise RuntimeError(f"perf did not {word}: {self.perf.tail()}")


def parse(text):
    rows = [line.split(";") for line in text.splitlines() if ";" in line]
    return {EVENTS.get(row[2], row[2]): int(row[0]) for row in rows if row[0].isdigit()}


def countable(events=tuple(EVENTS)):
    """Those of the events that perf counts here, maybe none."""
    if not shutil.which("perf"):
        return []
    command = ["perf", "stat", "-x;", "-e", ",".join(events), "true"]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=30)
    counts = parse(tried.stderr)
    return [event for event in events if EVENTS.get(event, event) in counts]
