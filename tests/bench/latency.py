"""The work `reload-latency`: how long until the new version answers on a connection that was open before.

A sample begins as the reload is given and ends with the first answer by the new version; requests follow one another on the one
connection. Samples by `tandem reload` and by SIGHUP take turns: the difference is what the command itself costs. A request that is
sent after the command has ended and yet is answered by the old version breaks a law, so such answers are counted.
"""

import http.client
import signal
import subprocess
import time
from statistics import median

import swap
from peers import tandem
from rounds import place, serving
from works import FIXED

SAMPLES = 50
SAMPLE_SECONDS_MAX = 10


class Client:
    """One keep-alive connection. If the host closes it, it is opened again and that is counted."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        self.connection.connect()
        self.connection.auto_open = False
        self.closed = 0

    def ask(self):
        """The number of the version that answered."""
        try:
            self.connection.request("GET", "/")
            response = self.connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self.reopen()
            return None
        if self.connection.sock is None:
            self.reopen()
        return swap.number(response.headers.get("x-served-by", ""))

    def reopen(self):
        self.closed += 1
        self.connection.close()
        self.connection.connect()


def measure(options, say):
    """Milliseconds by kind of sample, the stale answers and the closed connections."""
    samples = {"reload": [], "reload_command": [], "sighup": []}
    with serving(tandem, FIXED, options, named=True) as (setting, process), place("stamped") as directory:
        versions = swap.Versions(setting, directory)
        client = Client(setting.port)
        stale = 0
        for _ in range(SAMPLES):
            first_ms, command_ms, late = by_command(setting, versions, client)
            samples["reload"].append(first_ms)
            samples["reload_command"].append(command_ms)
            stale += late
            samples["sighup"].append(by_signal(setting, versions, client, process))
        client.connection.close()
    say(f"reload-latency: {SAMPLES} samples by command, {SAMPLES} by signal")
    return samples, stale, client.closed


def by_command(setting, versions, client):
    """Until the first new answer, until the command ended, and the number of stale answers in between."""
    number, path = versions.make()
    swap.install(setting, path)
    begun = time.monotonic()
    command = subprocess.Popen(swap.reload_command(setting), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    ended = answered = None
    stale = 0
    try:
        while ended is None or answered is None:
            if ended is None and command.poll() is not None:
                ended = time.monotonic()
                if command.returncode != 0:
                    raise RuntimeError(f"the reload to {number} failed: {command.stderr.read().strip()}")
            if client.ask() == number:
                answered = answered or time.monotonic()
            elif ended is not None:
                stale += 1
            bounded(begun, number)
    finally:
        if command.poll() is None:
            command.kill()
        command.communicate()
    return ms(answered - begun), ms(ended - begun), stale


def by_signal(setting, versions, client, process):
    number, path = versions.make()
    swap.install(setting, path)
    begun = time.monotonic()
    process.popen.send_signal(signal.SIGHUP)
    while client.ask() != number:
        bounded(begun, number)
    return ms(time.monotonic() - begun)


def bounded(begun, number):
    if time.monotonic() - begun > SAMPLE_SECONDS_MAX:
        raise RuntimeError(f"{number} did not answer within {SAMPLE_SECONDS_MAX} s")


def ms(seconds):
    return seconds * 1000


def summary(samples):
    """Median and worst of each kind, in words that say what it spans."""
    spans = {
        "reload": "`tandem reload` started to first answer by the new version",
        "reload_command": "`tandem reload` started to ended",
        "sighup": "SIGHUP sent to first answer by the new version",
    }
    return [["ms", "median", "worst"]] + [
        [span, f"{median(samples[kind]):.1f}", f"{max(samples[kind]):.1f}"] for kind, span in spans.items()
    ]
