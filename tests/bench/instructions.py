"""The work `instructions`: user instructions of a small proxied request, counted by valgrind, which needs no hardware counters.

A peer is run twice, under a short load and under a longer one. What it executes to start and to end is the same in both, so the
difference over the requests between is what a request costs. The count is exact and does not depend on the machine's mood; how many
requests share one wait for events does depend on the load, and is not that of a peer at full speed. The kernel is not counted.
"""

import re
import shutil

from load import Load
from peers import Missing
from rounds import place, serving
from works import PROXY_SMALL

SHORT_SECONDS, LONG_SECONDS = 1, 4
TOTAL = re.compile(r"I\s+refs:\s+([\d,]+)")


def measure(peers, options, say):
    """User instructions of a request, by peer."""
    if not shutil.which("valgrind"):
        raise Missing("valgrind is not there")
    found = {}
    for name, peer in peers.items():
        try:
            counts = [total(peer, seconds, options) for seconds in (SHORT_SECONDS, LONG_SECONDS)]
        except (Missing, RuntimeError) as error:
            say(f"instructions: {name} is skipped: {error}")
            continue
        (short, few), (long, many) = counts
        found[name] = (long - short) / (many - few)
        say(f"instructions: {name}: {found[name]:.0f} in each of {many - few} requests")
    return found


def total(peer, seconds, options):
    """Instructions from start to end, of all processes of the peer, and the requests answered in between."""
    with place("valgrind") as directory:
        directory.chmod(0o777)  # a worker under a user of its own writes its count there too
        wrapper = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
        wrapper += [f"--log-file={directory}/%p"]
        with serving(peer, PROXY_SMALL, options, wrapper=wrapper) as (setting, _), place("load") as load_directory:
            with Load(setting.port, seconds, load_directory) as load:
                requests = load.figures()["requests"]
        counts = [int(found.replace(",", "")) for log in directory.iterdir() for found in TOTAL.findall(log.read_text())]
    if not counts:
        raise RuntimeError("valgrind printed no count")
    return sum(counts), requests
