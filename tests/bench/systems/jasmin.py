"""Jasmin, with a RabbitMQ and a Redis of its own: all three on free ports of the loopback, with their files in the setting's directory.

Jasmin publishes what it takes to a queue of RabbitMQ that is not durable, as messages that are not persistent, and acknowledges it
without having heard from RabbitMQ: what it has acknowledged is gone with that process. There is no option for that.
"""

import contextlib
import shutil
import socket
import time
from pathlib import Path

from peers import Missing
from process import Process, free_port

from . import BINDS, DESTINATION, SOURCE, TEXT, Front, System, request
from .kannel import wait_until_open

RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the one in PATH changes the user, and writes where Debian's service does
REPLY_SECONDS_MAX = 20
# It takes its time, and more on a busy machine.
RABBITMQ_SECONDS_MAX = 120


def start(setting, stack):
    python = setting.options.jasmin / "bin" / "python"
    if not python.exists():
        raise Missing(f"there is no Jasmin in {setting.options.jasmin}: scripts/bench installs it")
    for command, package in {RABBITMQ: "rabbitmq-server", "epmd": "erlang-base", "redis-server": "redis-server"}.items():
        if not shutil.which(command):
            raise Missing(f"there is no {command}: apt-get install --no-install-recommends {package}")
    redis_port, redis = start_redis(setting, stack)
    amqp_port, rabbit = start_rabbit(setting, stack)
    ports = {name: free_port() for name in ("http", "smpp", "jcli", "router", "clients", "servers")}
    directory = place(setting, "jasmin")
    for part in ("etc/jasmin/resource", "etc/jasmin/store", "var/log/jasmin"):
        (directory / part).mkdir(parents=True)
    file = directory / "jasmin.cfg"
    file.write_text(config(ports, redis_port, amqp_port, directory / "var/log/jasmin/access.log", python))
    command = [python, setting.options.jasmin / "bin" / "jasmind.py", "--config", file]
    jasmin = stack.enter_context(Process(command, directory, env={"ROOT_PATH": str(directory)}))
    for name in ("http", "smpp", "jcli"):
        wait_until_open(ports[name], jasmin)
    configure(ports["jcli"], setting.sink_port)
    target = f"/send?username=b0&password=bench&from={SOURCE}&to={DESTINATION}&content={TEXT}"
    return System(
        processes=[jasmin, rabbit, redis],
        rest=Front(ports["http"], request(ports["http"], "GET", target), "Success"),
        smpp=Front(ports["smpp"]),
        kept="RabbitMQ's memory",
        tail=jasmin.tail,
    )


def place(setting, name):
    directory = setting.directory / name
    directory.mkdir()
    return directory


def start_redis(setting, stack):
    port, directory = free_port(), place(setting, "redis")
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", directory, "--appendonly", "yes"]
    redis = stack.enter_context(Process(command, directory))
    wait_until_open(port, redis)
    return port, redis


def start_rabbit(setting, stack):
    """With an `epmd` of its own, which would outlive it otherwise."""
    port, names_port, directory = free_port(), free_port(), place(setting, "rabbitmq")
    names = stack.enter_context(Process(["epmd", "-port", names_port, "-address", "127.0.0.1"], place(setting, "epmd")))
    wait_until_open(names_port, names)
    (directory / "enabled").write_text("[].\n")
    env = {
        "HOME": str(directory),
        "ERL_EPMD_PORT": str(names_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"bench{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_CONFIG_FILE": str(directory / "none"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "none.env"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
    }
    rabbit = stack.enter_context(Process([RABBITMQ], directory, env=env))
    wait_until_open(port, rabbit, RABBITMQ_SECONDS_MAX)
    return port, rabbit


def config(ports, redis_port, amqp_port, access_log, python):
    spec = next(Path(python).parents[1].glob("lib/python*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml"), None)
    if spec is None:
        raise Missing("Jasmin's packages have no specification of AMQP 0-9-1")
    return f"""[smpp-server]
bind = 127.0.0.1
port = {ports["smpp"]}
log_level = WARNING

[smpp-server-pb]
bind = 127.0.0.1
port = {ports["servers"]}

[client-management]
bind = 127.0.0.1
port = {ports["clients"]}

[router]
bind = 127.0.0.1
port = {ports["router"]}

[http-api]
bind = 127.0.0.1
port = {ports["http"]}
log_level = WARNING
access_log = {access_log}

[jcli]
bind = 127.0.0.1
port = {ports["jcli"]}
authentication = False

[sm-listener]
log_level = WARNING

[service-smppclient]
log_level = WARNING

[amqp-broker]
host = 127.0.0.1
port = {amqp_port}
spec = {spec}

[redis-client]
host = 127.0.0.1
port = {redis_port}
"""


def configure(port, sink_port):
    """What an operator types into its console."""
    wanted = [
        ("group -a", "gid bench"),
        ("user -a", "uid b0", "gid bench", "username b0", "password bench", f"smpps_cred quota max_bindings {BINDS}"),
        (
            "smppccm -a",
            "cid sink",
            "host 127.0.0.1",
            f"port {sink_port}",
            "username b0",
            "password bench",
            "submit_throughput 0",  # as fast as can be
            "loglevel 30",
        ),
        ("mtrouter -a", "type DefaultRoute", "connector smppc(sink)", "rate 0.00"),
    ]
    with contextlib.closing(Console(port)) as console:
        for lines in wanted:
            for line in lines:
                console.ask(line)
            said = console.ask("ok")
            if "uccessfully added" not in said:
                raise RuntimeError(f"Jasmin's console does not take {lines[0]}: {said.strip()}")
        said = console.ask("smppccm -1 sink")
        if "uccessfully started" not in said:
            raise RuntimeError(f"Jasmin does not start its connector: {said.strip()}")


class Console:
    """Jasmin's jCli."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=REPLY_SECONDS_MAX)
        self.ask("")  # it prompts for nothing before it was sent a line

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def reply(self):
        """What is said until it prompts for more."""
        said, deadline = b"", time.monotonic() + REPLY_SECONDS_MAX
        while not said.rstrip().endswith((b"jcli :", b">")):
            if time.monotonic() > deadline:
                raise RuntimeError(f"Jasmin's console says no more: {said[-500:]!r}")
            if not (more := self.socket.recv(4096)):
                raise RuntimeError(f"Jasmin's console is gone: {said[-500:]!r}")
            said += more
        return said.decode(errors="replace")

    def close(self):
        self.socket.close()
