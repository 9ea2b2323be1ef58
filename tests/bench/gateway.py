"""Tandem with a component, for the works whose sessions last or keep rows; with two workers where it is not said otherwise."""

import json
import os
import resource
import subprocess
import time

import meter
from peers import built
from process import Process, free_port

WORKERS = 2
SERVICE = "lasting"
SPARE_DESCRIPTORS = 100
STATUS_SECONDS_MAX = 60


class Gateway(Process):
    """Serves a component on `port`, on every address of the loopback; `config` is the rest of its configuration file, `others` are
    the components that it needs besides."""

    def __init__(self, component, directory, options, config="", workers=WORKERS, others=()):
        self.directory = directory
        self.component = component
        self.release = options.release
        self.port = free_port()
        self.library = f"libtandem_{component}.so"
        self.host = built(self, "tandem")
        self.stamp = built(self, "stamp")
        self.configuration = directory / "tandem.toml"
        self.stamped = 0
        (directory / "components").mkdir()
        self.install(built(self, self.library), self.library)
        for other in others:
            self.install(built(self, f"libtandem_{other}.so"), f"libtandem_{other}.so")
        self.configuration.write_text(f"""\
components = "{directory}/components"
data = "{directory}/data"
workers = {workers}

[service.{SERVICE}]
component = "{component}"
listen = ["tcp://0.0.0.0:{self.port}"]
{config}

[component.{component}]
versions = {{ keep = 0 }}
""")
        super().__init__([self.host, "run", "--config", self.configuration], directory)
        deadline = time.monotonic() + STATUS_SECONDS_MAX
        while self.tandem("status").returncode != 0:
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the gateway does not serve: {self.tail()}")
            time.sleep(0.05)

    def install(self, path, library):
        """Copies under a name that the host does not look at, then renames: the host finds all of it or none."""
        target = self.directory / "components" / library
        hidden = target.with_name("." + target.name)
        hidden.write_bytes(path.read_bytes())
        os.rename(hidden, target)

    def swap(self):
        """Installs the next version and reloads. Returns its number."""
        self.stamped += 1
        number = f"100.0.{self.stamped}"
        path = self.directory / f"{number}.so"
        command = [self.stamp, built(self, self.library), path, number]
        subprocess.run(command, check=True, capture_output=True, timeout=STATUS_SECONDS_MAX)
        self.install(path, self.library)
        path.unlink()
        done = self.tandem("reload")
        if done.returncode != 0:
            raise RuntimeError(f"the reload to {number} failed: {done.stdout}{done.stderr}")
        return number

    def status(self):
        done = self.tandem("status", "--json")
        if done.returncode != 0:
            raise RuntimeError(f"tandem status failed: {done.stderr}")
        return json.loads(done.stdout)

    def tandem(self, *arguments):
        command = [self.host, *arguments, "--config", self.configuration]
        return subprocess.run(command, capture_output=True, text=True, timeout=STATUS_SECONDS_MAX)

    def rss_kib(self):
        return meter.kib(f"/proc/{self.pid}/status", "VmRSS")


class Holder(Process):
    """`hold.rs` with its sessions open."""

    def __init__(self, gateway, count, hot, pause_ms, directory):
        command = [built(gateway, "hold"), gateway.component, gateway.port, count, hot, pause_ms]
        super().__init__(command, directory, stdin=subprocess.PIPE)
        self.told = self.output.open()
        if self.line() != f"open {count}":
            raise RuntimeError(f"not all sessions were opened: {self.tail()}")

    def figures(self):
        """Since the last time."""
        self.popen.stdin.write(b"\n")
        self.popen.stdin.flush()
        return json.loads(self.line())

    def last_figures(self):
        """Of a last answer on every session, also of those that have been silent."""
        self.popen.stdin.close()
        return json.loads(self.line())

    def line(self):
        deadline = time.monotonic() + 10 * STATUS_SECONDS_MAX
        found = ""
        while not found.endswith("\n"):
            found += self.told.readline()
            if not found.endswith("\n"):
                if self.popen.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"hold says nothing more: {self.tail()}")
                time.sleep(0.01)
        return found.strip()


# The password `bench`, hashed as cheaply as may be.
SECRET = "$argon2id$v=19$m=8,t=1,p=1$dGFuZGVtLWJlbmNoLXNhbHQ$yd00X2eIMMcNCqntun5zUKk6aQDnyW/TJwGC6afXnMc"


def accounts(count):
    """`b0`, `b1` and so on, with the password `bench`."""
    return "\n".join(f'[account.b{n}]\nsecret = "{SECRET}"' for n in range(count))


def lasting(component, count):
    """What `component` is configured with for so many sessions that last."""
    if component != "smpp":
        return ""
    # Receipts that are never acknowledged, and none that are looked for again meanwhile.
    return f"""[service.{SERVICE}.config]
timers = {{ response = "1h", enquire_link = "1h", receipts = "1h" }}
smsc = {{ receipt_after = "100ms" }}
{accounts(count)}
"""


def sessions_possible(wanted, say):
    """Raises the limit of descriptors, for what is started from now on, as far as it can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted + SPARE_DESCRIPTORS
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, soft), max(limit, hard)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard < limit:
            say(f"a process may have {hard} descriptors here, so {hard - SPARE_DESCRIPTORS} sessions instead of {wanted}")
            return hard - SPARE_DESCRIPTORS
    return wanted
