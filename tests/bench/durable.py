"""The work `durable`: updates of rows that are on the disk before they are answered, through the whole gateway and without it.

Connections have updates under way, a component makes a row of each, and the gateway answers once that is committed: 64 connections
with windows of 16, and 512 with one update each, where most of the work is the system's, which carries each update and each answer
by itself. In the same run, on the same disk, SQLite alone gets the same rows in transactions of 64. Two turns more ask the same
component, over as many connections, for what stores nothing: that is how much client, connections and protocol allow.
"""

import json
import subprocess

import meter
from gateway import Gateway
from peers import built
from process import Process
from report import number, table
from rounds import place, turned

COMPONENT = "ledger"
# SQLite calls one or the other, as it was compiled.
SYNCS = ["syscalls:sys_enter_fdatasync", "syscalls:sys_enter_fsync"]
# Connections, window and what is asked for; nothing for SQLite alone.
TURNS = {
    "gateway": (64, 16, "put"),
    "unstored": (64, 16, "count"),
    "gateway, one each": (512, 1, "put"),
    "unstored, one each": (512, 1, "count"),
    "sqlite": None,
}


def measure(options, say):
    """The rounds of each turn by name."""
    with place("gateway") as directory, Gateway(COMPONENT, directory, options) as gateway, place("sqlite") as alone:
        counted = meter.countable(SYNCS)
        for name in TURNS:
            turn(name, gateway, alone, 1, counted)  # the rows are there, and allocators have grown
        figures = {name: [] for name in TURNS}
        for round in range(options.rounds):
            for name in turned(list(TURNS), round):
                figures[name].append(turn(name, gateway, alone, options.seconds, counted))
                say(f"durable: round {round + 1} of {options.rounds}: {name}: {brief(figures[name][-1])}")
    return figures


def turn(name, gateway, alone, seconds, counted):
    updates = built(gateway, "updates")
    if asked := TURNS[name]:
        connections, window, verb = asked
        command = [updates, "gateway", gateway.port, connections, window, seconds, verb]
    else:
        command = [updates, "sqlite", alone / "rows.sqlite", seconds]
    with place("updates") as directory, place("perf") as perf, Process(command, directory, stdin=subprocess.PIPE) as load:
        # Without the gateway the load itself is all there is.
        before = meter.cpu_seconds(gateway)
        with meter.Instructions(gateway if asked else load, perf, counted) as syncs:
            load.popen.stdin.close()
            if load.wait(seconds + 60) != 0:
                raise RuntimeError(f"updates failed: {load.tail()}")
        found = json.loads(load.output.read_text())
    cpu = meter.cpu_seconds(gateway) - before if asked else found["cpu_seconds"]
    done = found["updates"]
    figures = {"updates_s": done / found["seconds"], "cpu_us": cpu * 1e6 / done}
    if asked:
        figures["client_us"] = found["cpu_seconds"] * 1e6 / done
    if count := sum(syncs.counts.values()):
        figures |= {"syncs_s": count / found["seconds"], "updates_sync": done / count}
    return figures


def brief(figures):
    return f"{figures['updates_s']:.0f} updates/s, {figures['cpu_us']:.1f} µs"


COLUMNS = {
    "updates_s": ("updates/s", 0),
    "cpu_us": ("CPU µs", 1),
    "client_us": ("client's CPU µs", 1),
    "syncs_s": ("syncs/s", 0),
    "updates_sync": ("updates a sync", 0),
}


def durable_table(found):
    lines = [["turn", *(heading for heading, _ in COLUMNS.values())]]
    for name, rounds in found.items():
        for figures in rounds:
            lines.append([name, *(number(figures.get(key), places) for key, (_, places) in COLUMNS.items())])
    return table(lines)
