"""Kannel: bearerbox and smsbox of Debian's package, with either of its stores: `spool` is a file for each message, `file` one for all.
What it writes there it does not sync, so what it has acknowledged outlives a crash of it, and not one of the machine.

It has no SMPP server: `opensmppbox`, which is one, is an add-on that Debian has no package of (`kannel`, `kannel-extras` and
`kannel-dev` are all there are, and none has it). So it takes part with its front for HTTP, `cgi-bin/sendsms`.
"""

import shutil
import socket
import time

from peers import Missing
from process import Process, free_port

from . import DESTINATION, SOURCE, TEXT, Front, System, request

READY_SECONDS_MAX = 20
# Where Debian has them, which is not in everybody's PATH.
BEARERBOX, SMSBOX = "/usr/sbin/bearerbox", "/usr/sbin/smsbox"
# Without it each of them says all that it does, which costs it more than doing it.
QUIET = ["-v", "3"]


def spool(setting, stack):
    return start("spool", setting, stack)


def file(setting, stack):
    return start("file", setting, stack)


def start(store, setting, stack):
    for box in (BEARERBOX, SMSBOX):
        if not shutil.which(box):
            raise Missing(f"there is no {box}: apt-get install --no-install-recommends kannel")
    boxes_port, sendsms_port = free_port(), free_port()
    location = setting.directory / "store"
    if store == "spool":
        location.mkdir()
    file = setting.directory / "kannel.conf"
    file.write_text(config(setting, f"store-type = {store}\nstore-location = {location}", boxes_port, sendsms_port))
    directories = [setting.directory / name for name in ("bearerbox", "smsbox")]
    for directory in directories:
        directory.mkdir()
    bearerbox = stack.enter_context(Process([BEARERBOX, *QUIET, file], directories[0]))
    wait_until_open(boxes_port, bearerbox)  # smsbox gives up where nobody listens yet
    smsbox = stack.enter_context(Process([SMSBOX, *QUIET, file], directories[1]))
    wait_until_open(sendsms_port, smsbox)
    target = f"/cgi-bin/sendsms?username=b0&password=bench&from={SOURCE}&to={DESTINATION}&text={TEXT}"
    return System(
        processes=[bearerbox, smsbox],
        rest=Front(sendsms_port, request(sendsms_port, "GET", target), "Accepted"),
        smpp=None,
        kept={"spool": "a file each, not synced", "file": "one file, not synced"}[store],
        tail=lambda: f"{bearerbox.tail()}\n{smsbox.tail()}",
    )


def wait_until_open(port, process, seconds=READY_SECONDS_MAX):
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as error:
            if process.popen.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.name} does not listen ({error}): {process.tail()}") from None
        time.sleep(0.05)


def config(setting, store, boxes_port, sendsms_port):
    return f"""group = core
admin-port = {free_port()}
admin-interface = 127.0.0.1
admin-password = bench
smsbox-port = {boxes_port}
smsbox-interface = 127.0.0.1
dlr-storage = internal
{store}

group = smsc
smsc = smpp
smsc-id = sink
host = 127.0.0.1
port = {setting.sink_port}
transceiver-mode = true
smsc-username = b0
smsc-password = bench
system-type = ""
max-pending-submits = 400

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms_port}
sendsms-interface = 127.0.0.1

group = sendsms-user
username = b0
password = bench
max-messages = 1
"""
