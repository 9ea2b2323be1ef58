"""The works `carry` and `idle-memory`: what many sessions cost that last, as they are carried to a new version and as they do nothing.

A swap begins with the publication and ends with the last session moved, as the host says. Some of the sessions ask and are answered
all the time; the longest wait of one of them around a swap stands beside the longest without one, since on a busy machine the client
itself has to wait for a processor.
"""

import time
from contextlib import contextmanager

import meter
from gateway import Gateway, Holder, lasting, sessions_possible
from report import table
from rounds import place

IDLE, IDLE_HOT, IDLE_PAUSE_MS = 50_000, 32, 1
BOUND, BOUND_PAUSE_MS = 1_000, 200
MOVE_SECONDS_MAX = 30
AROUND_SECONDS = 1
SETTLE_SECONDS = 1


def carry(options, say):
    """The rounds of both kinds of sessions by name, and how many sessions each had."""
    idle = sessions_possible(IDLE, say)
    bound = sessions_possible(BOUND, say)
    found = {
        "idle": swaps("echo", idle, IDLE_HOT, IDLE_PAUSE_MS, options, say),
        "bound": swaps("smpp", bound, bound, BOUND_PAUSE_MS, options, say),
    }
    return found, {"idle": idle, "bound": bound}


def swaps(component, count, hot, pause_ms, options, say):
    with holding(component, count, hot, pause_ms, options) as (gateway, holder):
        rounds = []
        for number in range(options.rounds):
            rounds.append(swap(gateway, holder, count))
            say(f"carry: {component}: round {number + 1} of {options.rounds}: {brief(rounds[-1])}")
        rounds[-1]["failed"] = holder.last_figures()["failed"]
        return rounds


def swap(gateway, holder, count):
    """One swap, and as long a time without one before it."""
    holder.figures()
    time.sleep(AROUND_SECONDS)
    still = holder.figures()
    cpu_before = meter.cpu_seconds(gateway)
    gateway.swap()
    moves = wait_until_moved(gateway)
    cpu = meter.cpu_seconds(gateway) - cpu_before
    time.sleep(AROUND_SECONDS)
    around = holder.figures()
    return {
        "sessions": count,
        "moved": moves["moved"],
        "stay": moves["stay"],
        "took_ms": moves["took_ms"],
        "cpu_ms": cpu * 1000,
        "worst_still_ms": still["worst_ms"],
        "worst_ms": around["worst_ms"],
        "answers": around["answers"],
        "failed": around["failed"],
    }


def wait_until_moved(gateway):
    deadline = time.monotonic() + MOVE_SECONDS_MAX
    while not (moves := gateway.status()["moves"]):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all sessions have followed within {MOVE_SECONDS_MAX} s")
    return moves


def idle_memory(options, say):
    """KiB of the host's own memory that a session costs: as it was opened and has said something, and after it was carried."""
    count = sessions_possible(IDLE, say)
    with place("gateway") as directory, Gateway("echo", directory, options) as gateway, place("hold") as held:
        before = gateway.rss_kib()
        with Holder(gateway, count, 0, 0, held) as holder:
            time.sleep(SETTLE_SECONDS)
            opened = gateway.rss_kib()
            gateway.swap()
            wait_until_moved(gateway)
            time.sleep(SETTLE_SECONDS)
            carried = gateway.rss_kib()
            failed = holder.last_figures()["failed"]
    each = {"opened": (opened - before) / count, "carried": (carried - before) / count}
    say(f"idle-memory: {count} sessions: {each['opened']:.2f} KiB each, {each['carried']:.2f} KiB once carried")
    return each | {"sessions": count, "failed": failed}


@contextmanager
def holding(component, count, hot, pause_ms, options):
    with place("gateway") as directory, Gateway(component, directory, options, lasting(component, count)) as gateway:
        with place("hold") as held, Holder(gateway, count, hot, pause_ms, held) as holder:
            time.sleep(SETTLE_SECONDS)
            yield gateway, holder


def brief(round):
    return f"{round['moved']} moved in {round['took_ms']:.1f} ms, worst wait {round['worst_ms']:.1f} ms, {round['failed']} failed"


COLUMNS = {
    "took_ms": ("moved in ms", 1),
    "moved": ("moved", 0),
    "stay": ("stay", 0),
    "cpu_ms": ("CPU ms", 0),
    "answers": ("answers", 0),
    "worst_still_ms": ("worst ms, no swap", 1),
    "worst_ms": ("worst ms, swap", 1),
    "failed": ("failed", 0),
}


def carry_table(found):
    lines = [["sessions", *(heading for heading, _ in COLUMNS.values())]]
    for name, rounds in found.items():
        for figures in rounds:
            lines.append([f"{figures['sessions']} {name}", *(f"{figures[key]:.{places}f}" for key, (_, places) in COLUMNS.items())])
    return table(lines)
