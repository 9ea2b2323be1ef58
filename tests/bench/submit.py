"""The work `smpp-submit`: messages from ESMEs to an SMSC, through Tandem and through a bare relay on the same codec.

Eight binds keep their windows of 100 full. What they submit goes by one bind to a sink that takes everything at once. In turns there
is between them: nothing, which shows that both ends are faster than what they measure; the bare relay; one that writes each PDU by
itself; Tandem with a row for those messages alone that a receipt is asked for, and none is; the same with an agreement that admits
all of them; Tandem with a row for each message, committed before the response.
"""

import contextlib
import json
import time

import meter
from gateway import SERVICE, Gateway, accounts
from peers import built
from process import Process, free_port
from report import number, table
from rounds import place, turned

BINDS, WINDOW = 8, 100
TURNS = ["direct", "relay", "relay, each", "tandem", "tandem, agreed", "tandem, stored"]
READY_SECONDS_MAX = 20
AGREEMENT = """
[agreement.large]
accounts = ["*"]
services = ["lasting"]
rate = { of = 1000000, per = "1s" }
quota = { day = 100000000000 }
concurrent = 100000
sessions = 100
"""


def measure(options, say):
    """The rounds of each turn by name."""
    with contextlib.ExitStack() as stack:
        sms, sink_port = built(options, "sms"), free_port()
        sink = stack.enter_context(Process([sms, "sink", sink_port], stack.enter_context(place("sink"))))
        wait_until_served(sms, sink_port, sink)
        up = {"direct": (sink, sink_port)}
        for name, writes in {"relay": "together", "relay, each": "each"}.items():
            port = free_port()
            command = [sms, "relay", port, sink_port, writes]
            up[name] = stack.enter_context(Process(command, stack.enter_context(place("relay")))), port
        ways = {"tandem": ("receipts", ""), "tandem, agreed": ("receipts", AGREEMENT), "tandem, stored": ("all", "")}
        for name, (rows, agreement) in ways.items():
            directory = stack.enter_context(place("gateway"))
            text = config(sink_port, rows) + agreement
            # With one worker, as the relay has.
            gateway = stack.enter_context(Gateway("smpp", directory, options, text, workers=1))
            up[name] = gateway, gateway.port
        for process, port in up.values():
            wait_until_served(sms, port, process)
        figures = {name: [] for name in TURNS}
        for round in range(options.rounds):
            for name in turned(TURNS, round):
                figures[name].append(turn(sms, *up[name], sink, options.seconds))
                say(f"smpp-submit: round {round + 1} of {options.rounds}: {name}: {brief(figures[name][-1])}")
        return figures


def turn(sms, process, port, sink, seconds):
    before, sink_before = meter.cpu_seconds(process), meter.cpu_seconds(sink)
    found = submit(sms, port, seconds)
    cpu, sink_cpu = meter.cpu_seconds(process) - before, meter.cpu_seconds(sink) - sink_before
    done = found["messages"]
    return {
        "messages_s": done / found["seconds"],
        "cpu_us": cpu * 1e6 / done,
        "client_us": found["cpu_seconds"] * 1e6 / done,
        "sink_us": sink_cpu * 1e6 / done,
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "failed": found["failed"],
    }


def submit(sms, port, seconds):
    with place("submit") as directory, Process([sms, "submit", port, BINDS, WINDOW, seconds, 0], directory) as load:
        if load.wait(seconds + 60) != 0:
            raise RuntimeError(f"submitting failed: {load.tail()}")
        found = json.loads(load.output.read_text())
    if not found["messages"]:
        raise RuntimeError("not one message was taken")
    return found


def wait_until_served(sms, port, process):
    """For as long as a bind, or what is behind it, is not there; its second of load warms up whoever serves."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            if submit(sms, port, 1)["failed"] == 0:
                return
            why = "messages are refused"
        except RuntimeError as error:
            why = error
        if process.popen.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.name} does not serve ({why}): {process.tail()}")
        time.sleep(0.1)


def config(sink_port, rows):
    return f"""[service.{SERVICE}.config]
submit_to = "smsc"
messages = "{rows}"
window = {{ submit = {WINDOW} }}
unnamed = {{ max_binds = {BINDS} }}

[service.smsc]
component = "smpp"
connect = ["tcp://127.0.0.1:{sink_port}"]
[service.smsc.config]
window = {{ submit = {BINDS * WINDOW} }}

{accounts(1)}"""


def brief(figures):
    return f"{figures['messages_s']:.0f} messages/s, {figures['cpu_us']:.1f} µs, {figures['failed']} failed"


COLUMNS = {
    "messages_s": ("messages/s", 0),
    "cpu_us": ("CPU µs", 1),
    "client_us": ("client's CPU µs", 1),
    "sink_us": ("sink's CPU µs", 1),
    "p50_ms": ("p50 ms", 2),
    "p99_ms": ("p99 ms", 2),
    "failed": ("failed", 0),
}


def submit_table(found):
    lines = [["between", *(heading for heading, _ in COLUMNS.values())]]
    for name, rounds in found.items():
        for figures in rounds:
            lines.append([name, *(number(figures.get(key), places) for key, (_, places) in COLUMNS.items())])
    return table(lines)
