"""The load: one wrk thread with 64 connections, its figures read from the line that `figures.lua` prints."""

import json
from pathlib import Path

from process import Process

CONNECTIONS = 64
SCRIPT = Path(__file__).with_name("figures.lua")
MARK = "figures: "


class Load(Process):
    """A running wrk. It ends by itself after `seconds`."""

    def __init__(self, port, seconds, directory):
        self.seconds = seconds
        url = f"http://127.0.0.1:{port}/"
        super().__init__(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", SCRIPT, url], directory)

    def figures(self):
        """Waits for the end: requests, failed, req_s and the latencies in milliseconds."""
        if self.wait(self.seconds + 15) != 0:
            raise RuntimeError(f"wrk failed: {self.tail()}")
        lines = [line for line in self.output.read_text().splitlines() if line.startswith(MARK)]
        if len(lines) != 1:
            raise RuntimeError(f"wrk printed no figures: {self.tail()}")
        figures = json.loads(lines[0].removeprefix(MARK))
        if figures["requests"] == 0:
            raise RuntimeError(f"not one request was answered: {self.tail()}")
        return figures


def warm_up(port, directory):
    """A second of load whose figures are not used: pools are filled and allocators have grown."""
    with Load(port, 1, directory) as load:
        load.figures()
