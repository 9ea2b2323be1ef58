"""The work `calls`: what a call from one service to another costs, its answer included, in CPU time of the whole gateway.

A line asks a service so many times, and is answered when all answers have come; the same lines without a call are what the rest costs.
The callee is stateless: a session is opened for each request. All of it is on one worker.
"""

import socket

import meter
from gateway import SERVICE, Gateway
from report import number, table
from rounds import place, turned

# Connections, each with one line under way; a session may have 1024 calls.
CONNECTIONS, CALLS = 8, 200
TURNS = {"calls": f"many {CALLS} callee echo x\n", "without": f"many 0 callee echo {CALLS}\n"}
LINES = 1000
ANSWER_SECONDS_MAX = 60


def measure(options, say):
    """The rounds: nanoseconds of a line with calls and of one without, and of a call."""
    config = f'[service.callee]\ncomponent = "asks"\n'
    with place("gateway") as directory, Gateway("asks", directory, options, config, workers=1) as gateway:
        lines = [Line(gateway.port) for _ in range(CONNECTIONS)]
        for name in TURNS:
            turn(gateway, lines, name)  # allocators have grown
        found = []
        for round in range(options.rounds):
            line = {name: turn(gateway, lines, name) for name in turned(list(TURNS), round)}
            call = (line["calls"] - line["without"]) / CALLS
            found.append({"with_ns": line["calls"], "without_ns": line["without"], "call_ns": call})
            say(f"calls: round {round + 1} of {options.rounds}: {call:.0f} ns a call")
        for line in lines:
            line.socket.close()
        return found


def turn(gateway, lines, name):
    """CPU nanoseconds of a line."""
    said = TURNS[name].encode()
    # A line without calls costs little, so there are more of them.
    count = LINES if name == "calls" else 10 * LINES
    before = meter.cpu_seconds(gateway)
    for _ in range(count):
        for line in lines:
            line.socket.sendall(said)
        for line in lines:
            line.hear()
    return (meter.cpu_seconds(gateway) - before) * 1e9 / (count * len(lines))


class Line:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX)

    def hear(self):
        if (heard := self.socket.recv(64)) != b"all\n":
            raise RuntimeError(f"`{SERVICE}` says {heard!r} where all calls are answered")


def calls_table(found):
    lines = [["ns of CPU", f"a line with {CALLS} calls", "one without", "a call"]]
    for figures in found:
        lines.append(["", *(number(figures[key], 0) for key in ("with_ns", "without_ns", "call_ns"))])
    return table(lines)
