"""Rounds: in each one every peer has its turn at the same work, in an order that turns from round to round.

All peers of a work are up from its first round to its last; those whose turn it is not have no load. What a noisy machine does to
one of them in a round it is likely to do to its neighbours, which is why figures are compared round by round.
"""

import contextlib
import subprocess
import tempfile
from pathlib import Path

import meter
from load import Load, warm_up
from peers import Missing, Setting
from process import Process, free_port
from upstream import Upstream


@contextlib.contextmanager
def place(name):
    """A directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as directory:
        yield Path(directory)


@contextlib.contextmanager
def serving(peer, work, options, wrapper=(), **how):
    """A peer at work, seen to answer, with its upstream if the work has one. Yields its setting and its process.

    `wrapper` is a command that runs the peer's own; `how` goes to the peer.
    """
    with contextlib.ExitStack() as stack:
        upstream_port = None
        if work.proxied:
            upstream = stack.enter_context(Upstream(work, stack.enter_context(place("upstream"))))
            upstream.wait_ready(upstream.port, work.body_bytes)
            upstream_port = upstream.port
        directory = stack.enter_context(place(peer.__name__.rpartition(".")[2]))
        setting = Setting(directory, free_port(), upstream_port, options.release, options.envoy)
        process = stack.enter_context(Process([*wrapper, *peer.command(setting, work, **how)], directory))
        process.wait_ready(setting.port, work.body_bytes)
        yield setting, process


def side_by_side(work, peers, options, say):
    """The figures of each peer that took part, a list with one dictionary a round."""
    with contextlib.ExitStack() as stack:
        up = {}
        for name, peer in peers.items():
            try:
                setting, process = stack.enter_context(serving(peer, work, options))
            except Missing as missing:
                say(f"{work.name}: {name} is skipped: {missing}")
                continue
            up[name] = setting, process
            with place("load") as directory:
                warm_up(setting.port, directory)
        figures = {name: [] for name in up}
        for number in range(options.rounds):
            for name in turned(list(up), number):
                figures[name].append(turn(*up[name], options))
                say(f"{work.name}: round {number + 1} of {options.rounds}: {name}: {brief(figures[name][-1])}")
        return figures


def turned(names, number):
    start = number % len(names) if names else 0
    return names[start:] + names[:start]


def turn(setting, process, options):
    """One peer under load once. Memory is read half way through, while the connections are there."""
    with place("load") as directory, place("perf") as perf_directory:
        with meter.Instructions(process, perf_directory, options.counted) as instructions:
            cpu_before = meter.cpu_seconds(process)
            with Load(setting.port, options.seconds, directory) as load:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    load.popen.wait(options.seconds / 2)
                memory = meter.memory_mb(process)
                figures = load.figures()
            cpu = meter.cpu_seconds(process) - cpu_before
    requests = figures["requests"]
    figures |= memory | {"cpu_us": cpu * 1e6 / requests}
    figures |= {name: count / requests for name, count in instructions.counts.items()}
    return figures


def brief(figures):
    return f"{figures['req_s']:.0f} requests/s, {figures['cpu_us']:.1f} µs, {figures['failed']} failed"
