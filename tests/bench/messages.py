"""The work `messages`: messages of applications (HTTP) and of ESMEs (SMPP) that are kept, acknowledged, and given to an SMSC.

Every system has the same load, the same SMSC, and its files on the same disk. A turn is over when all that was acknowledged has come
to the SMSC, so what a system acknowledges faster than it sends counts with the time that sending took. The SMSC knows each message
by a number in its text: what was acknowledged and does not come is lost, what comes twice is doubled.

Two turns have no system: ESMEs straight to the SMSC, and applications to a server that only answers. So much the bench itself allows.
"""

import contextlib
import itertools
import json
import subprocess
import tempfile
import time
from collections import namedtuple
from pathlib import Path

import meter
from peers import Missing, built
from process import Process, free_port
from report import number, table
from rounds import turned
from systems import BINDS, CONNECTIONS, WINDOW, TEXT, Front, Setting, System, jasmin, kannel, request, tandem

# Kannel with either of its stores.
SYSTEMS = {"tandem": tandem.start, "kannel": kannel.spool, "kannel-file": kannel.file, "jasmin": jasmin.start}
NONE = "nothing between"
Turn = namedtuple("Turn", "path name")
READY_SECONDS_MAX = 30
# For so long nothing more has come: the rest is lost.
SILENT_SECONDS_MAX = 20
DRAIN_SECONDS_MAX = 300
# What is numbered anew in each turn; the SMSC remembers so many.
NUMBERS = 100_000_000
SYNCS = ["syscalls:sys_enter_fdatasync", "syscalls:sys_enter_fsync"]


def measure(options, say):
    """The rounds of each turn, and of each system where what it acknowledged is kept."""
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(Bench(options))
        up = {NONE: bench.nothing_between(stack)}
        for name in options.systems:
            try:
                up[name] = SYSTEMS[name](Setting(bench.place(name), bench.sink.port, options), stack)
            except (Missing, *(() if name == "tandem" else (RuntimeError, OSError))) as missing:
                print(f"messages: {name} is MISSING, the others go on: {missing}\n", flush=True)
        turns = [Turn(path, name) for path in ("rest", "smpp") for name, it in up.items() if getattr(it, path)]
        for turn in turns:
            bench.warm_up(turn, up[turn.name])
        figures = {turn: [] for turn in turns}
        for round in range(options.rounds):
            for turn in turned(turns, round):
                figures[turn].append(bench.turn(turn, up[turn.name], options.seconds))
                say(f"messages: round {round + 1} of {options.rounds}: {said(turn)}: {brief(figures[turn][-1])}")
        return figures, {name: it.kept for name, it in up.items()}


class Bench:
    """The ends, and a directory on the disk that cargo builds on, which is gone afterwards."""

    def __init__(self, options):
        self.sms = built(options, "sms")
        self.first = itertools.count(0, NUMBERS)
        self.counted = meter.countable(SYNCS)
        root = options.release.parent / "bench"
        root.mkdir(exist_ok=True)
        self.root = tempfile.TemporaryDirectory(prefix="messages-", dir=root)

    def __enter__(self):
        try:
            self.sink = Sink(self.sms, self.place("sink"))
        except BaseException:
            self.root.cleanup()
            raise
        return self

    def __exit__(self, *_):
        self.sink.stop()
        self.root.cleanup()

    def place(self, name):
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root.name))

    def nothing_between(self, stack):
        port = free_port()
        reply = stack.enter_context(Process([self.sms, "reply", port], self.place("reply")))
        posted = request(port, "POST", "/v1/messages", body=json.dumps({"text": TEXT}))
        return System([reply], Front(port, posted, '"accepted":1'), Front(self.sink.port), "-", reply.tail)

    def warm_up(self, turn, system):
        """For as long as it takes no messages; the second of load itself lets pools fill and allocators grow."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                figures = self.turn(turn, system, 1)
                if figures["failed"] == 0:
                    return
                why = f"{figures['failed']} messages have failed"
            except RuntimeError as error:
                why = error
            if time.monotonic() > deadline:
                raise RuntimeError(f"{said(turn)} does not serve ({why}): {system.tail()}")
            time.sleep(0.2)

    def turn(self, turn, system, seconds):
        first, place = next(self.first), self.place("load")
        self.sink.begin(first)
        before = sum(map(meter.cpu_seconds, system.processes))
        # What syncs is the first of a system's processes, or a child of it.
        with meter.Instructions(system.processes[0], place, self.counted) as syncs:
            found = self.load(turn, system, seconds, first, place)
            # What only answers sends nothing on.
            comes = turn != Turn("rest", NONE)
            come = self.sink.wait_for(found["messages"], found["unanswered"]) if comes else None
        cpu = sum(map(meter.cpu_seconds, system.processes)) - before
        done = found["messages"]
        took = come["last_at"] - found["begun_at"] if comes else found["seconds"]
        figures = {
            "messages_s": done / max(took, found["seconds"]),
            "acknowledged_s": done / found["seconds"],
            "cpu_us": cpu * 1e6 / done,
            "client_us": found["cpu_seconds"] * 1e6 / done,
            "p50_ms": found["p50_ms"],
            "p99_ms": found["p99_ms"],
            "failed": found["failed"] + len(found["unanswered"]),
        }
        if comes:
            figures |= {"lost": done - come["distinct"], "doubled": come["doubled"] + come["strays"]}
        if count := sum(syncs.counts.values()):
            figures["syncs_s"] = count / found["seconds"]
        return figures

    def load(self, turn, system, seconds, first, place):
        if turn.path == "rest":
            file = place / "request"
            file.write_bytes(system.rest.request)
            command = [self.sms, "post", system.rest.port, CONNECTIONS, seconds, first, file, system.rest.taken]
        else:
            command = [self.sms, "submit", system.smpp.port, BINDS, WINDOW, seconds, first]
        with Process(command, place) as load:
            if load.wait(seconds + 60) != 0:
                raise RuntimeError(f"{said(turn)}: {load.tail()}")
            found = json.loads(load.output.read_text())
        if not found["messages"]:
            raise RuntimeError(f"{said(turn)}: not one message was taken")
        return found


class Sink(Process):
    """The SMSC, which is asked what has come."""

    def __init__(self, sms, directory):
        self.port = free_port()
        super().__init__([sms, "sink", self.port], directory, stdin=subprocess.PIPE)
        self.told = self.output.open()

    def begin(self, first):
        return self.ask(f"from {first}")

    def wait_for(self, messages, unanswered):
        """What has come, once that is as much as was acknowledged, or nothing more comes."""
        begun = silent_since = time.monotonic()
        without = "without " + ",".join(map(str, unanswered))
        come = self.ask(without)
        while come["distinct"] < messages:
            time.sleep(0.05)
            now, before, come = time.monotonic(), come, self.ask(without)
            if come["distinct"] > before["distinct"]:
                silent_since = now
            if now - silent_since > SILENT_SECONDS_MAX or now - begun > DRAIN_SECONDS_MAX:
                break
        return come

    def ask(self, line):
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()
        found, deadline = "", time.monotonic() + READY_SECONDS_MAX
        while not found.endswith("\n"):
            found += self.told.readline()
            if not found.endswith("\n"):
                if self.popen.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the SMSC says nothing more: {self.tail()}")
                time.sleep(0.001)
        return json.loads(found)


def said(turn):
    path = {"rest": "REST → SMPP", "smpp": "SMPP → SMPP"}[turn.path]
    return f"{path}, {turn.name}"


def brief(figures):
    lost = f", {figures['lost']} lost, {figures['doubled']} doubled" if "lost" in figures else ""
    return f"{figures['messages_s']:.0f} messages/s, {figures['cpu_us']:.0f} µs, {figures['failed']} failed{lost}"


COLUMNS = {
    "messages_s": ("messages/s", 0),
    "acknowledged_s": ("acknowledged/s", 0),
    "cpu_us": ("CPU µs", 1),
    "client_us": ("client's CPU µs", 1),
    "p50_ms": ("p50 ms", 2),
    "p99_ms": ("p99 ms", 2),
    "syncs_s": ("syncs/s", 0),
    "failed": ("failed", 0),
    "lost": ("lost", 0),
    "doubled": ("doubled", 0),
}


def messages_table(found, kept):
    lines = [["", *(heading for heading, _ in COLUMNS.values()), "kept in"]]
    for turn, rounds in found.items():
        for figures in rounds:
            cells = (number(figures.get(key), places) for key, (_, places) in COLUMNS.items())
            lines.append([said(turn), *cells, kept[turn.name]])
    return table(lines)
