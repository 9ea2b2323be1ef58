"""The work `admission`: what it costs a worker to have an account's exchange admitted, by its processor's time and in instructions.

`host/benches/admission.rs` measures it, on one thread and on two that share one agreement; valgrind counts its instructions on one
thread, where it is there: what a longer run has beyond a shorter one, by admission. The thread that reserves shares is counted as well.
"""

import json
import re
import shutil

from peers import Missing
from process import Process
from report import number, table
from rounds import place

FEW, MANY = 200_000, 600_000
SECONDS_MAX = 600
TOTAL = re.compile(r"I\s+refs:\s+([\d,]+)")


def measure(options, say):
    """Nanoseconds on one thread and on two, and instructions where they are counted, by the name of what is admitted."""
    binary = options.release / "admission"
    if not binary.exists():
        raise Missing(f"{binary} has not been built")
    found = {}
    with place("admission") as directory:
        lines = output([binary, "--json"], directory)
    for line in lines.splitlines():
        figures = json.loads(line)
        name = figures.pop("name")
        if shutil.which("valgrind"):
            few, many = (instructions(binary, name, count) for count in (FEW, MANY))
            figures["instructions"] = (many - few) / (MANY - FEW)
        found[name] = figures
        say(f"admission: {name}: {figures['one_ns']:.1f} ns on one thread, {figures['two_ns']:.1f} ns on two")
    return found


def instructions(binary, name, count):
    with place("valgrind") as directory:
        command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
        counted = TOTAL.search(output([*command, binary, "--count", name, count], directory))
    if not counted:
        raise RuntimeError("valgrind printed no count")
    return int(counted[1].replace(",", ""))


def output(command, directory):
    with Process(command, directory) as process:
        if process.wait(SECONDS_MAX) != 0:
            raise RuntimeError(f"{process.name} failed: {process.tail()}")
        return process.output.read_text()


def admission_table(found):
    lines = [["admitted", "ns, 1 thread", "ns, 2 threads", "instructions"]]
    for name, figures in found.items():
        cells = (number(figures.get(key), places) for key, places in (("one_ns", 1), ("two_ns", 1), ("instructions", 0)))
        lines.append([name, *cells])
    return table(lines)
