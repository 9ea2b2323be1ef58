"""Tandem with `rest`, `smpp` and `messaging`, as README.md configures them; a network that gives no receipts, as the bench's does not."""

import base64
import json

from gateway import SERVICE, Gateway, accounts
from process import free_port

from . import BINDS, DESTINATION, SOURCE, TEXT, WINDOW, Front, System, request


def start(setting, stack):
    rest_port = free_port()
    gateway = Gateway("smpp", setting.directory, setting.options, config(setting.sink_port, rest_port), others=["rest", "messaging"])
    stack.enter_context(gateway)
    credentials = base64.b64encode(b"b0:bench").decode()
    body = json.dumps({"from": f"+{SOURCE}", "to": f"+{DESTINATION}", "text": TEXT, "receipt": False})
    posted = request(rest_port, "POST", "/v1/messages", [f"Authorization: Basic {credentials}"], body)
    return System(
        processes=[gateway],
        rest=Front(rest_port, posted, '"accepted":1'),
        smpp=Front(gateway.port),
        kept="SQLite, synced",
        tail=gateway.tail,
    )


def config(sink_port, rest_port):
    return f"""[service.{SERVICE}.config]
submit_to = "messages"
messages = "receipts"
window = {{ submit = {WINDOW} }}
unnamed = {{ max_binds = {BINDS} }}

[service.applications]
component = "rest"
listen = ["tcp://127.0.0.1:{rest_port}"]
[service.applications.config]
submit_to = "messages"

[service.messages]
component = "messaging"
[service.messages.config]
routes = [{{ to = {{ smsc = 1 }} }}]
front = "applications"
networks.smsc = {{ receipts = false }}

[service.smsc]
component = "smpp"
connect = ["tcp://127.0.0.1:{sink_port}"]
reconnect = {{ from = "100ms", to = "1s" }}
[service.smsc.config]
window = {{ submit = 400 }}
queue = 400

{accounts(1)}"""
