"""The work `overhead`: what it costs to be seen, on small proxied requests: metrics that are asked for each second, a record of each
request, the steps of traces. Each is Tandem beside Tandem as it is where nothing is asked of it.
"""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from load import warm_up
from peers import tandem
from rounds import brief, place, serving, turn, turned
from works import PROXY_SMALL

NOTHING = "nothing"
SCRAPE_SECONDS = 1
HEARD_SECONDS_MAX = 10


def measure(options, say):
    """The figures of each way to be seen, a list with one dictionary a round."""
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(Collector())
        traces = f'[traces]\nendpoint = "http://127.0.0.1:{collector.port}"\nsample = '
        ways = {
            NOTHING: {},
            "metrics": {},
            "records": {"service": 'records = "records.jsonl"'},
            "traces, 1 %": {"more": f"{traces}0.01"},
            "traces, all": {"more": f"{traces}1.0"},
        }
        up = {}
        for name, how in ways.items():
            up[name] = stack.enter_context(serving(tandem, PROXY_SMALL, options, **how))
            with place("load") as directory:
                warm_up(up[name][0].port, directory)
        figures = {name: [] for name in up}
        for number in range(options.rounds):
            for name in turned(list(up), number):
                setting, process = up[name]
                with Scraper(setting) if name == "metrics" else contextlib.nullcontext():
                    figures[name].append(turn(setting, process, options))
                say(f"overhead: round {number + 1} of {options.rounds}: {name}: {brief(figures[name][-1])}")
        if not collector.heard:
            raise RuntimeError("no step of a trace has come to the collector")
        return figures


class Collector:
    """Takes what is exported, as fast as it comes, and looks at none of it."""

    def __enter__(self):
        self.heard = 0
        collector = self

        class Taking(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector.heard += len(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()


class Scraper:
    """Asks for the metrics each second, as Prometheus does at its most eager."""

    def __init__(self, setting):
        self.path = str(setting.directory / "data" / "admin.sock")
        self.over = threading.Event()
        self.heard = []

    def __enter__(self):
        self.thread = threading.Thread(target=self.scrape)
        self.thread.start()

    def scrape(self):
        while not self.over.wait(SCRAPE_SECONDS):
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(HEARD_SECONDS_MAX)
                asking.connect(self.path)
                asking.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                with asking.makefile("rb") as answer:
                    self.heard.append(answer.read())

    def __exit__(self, kind, *_):
        self.over.set()
        self.thread.join()
        if kind is None and not all(b"tandem_version_sessions" in answer for answer in self.heard):
            raise RuntimeError("the metrics could not be read")
