"""A process of the bench: started in a directory of its own, ended by its own id, waited for only so long."""

import http.client
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

READY_SECONDS_MAX = 20
STOP_SECONDS_MAX = 5


class Process:
    """What runs until `stop`. Its output goes to a file that is quoted when it fails."""

    def __init__(self, command, directory, pass_fds=(), stdin=subprocess.DEVNULL, env=None):
        self.name = Path(command[0]).name
        self.output = Path(directory) / "output"
        with self.output.open("wb") as output:
            self.popen = subprocess.Popen(
                [str(word) for word in command],
                cwd=directory,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                env={**os.environ, **env} if env else None,
            )
        self.pid = self.popen.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def tree(self):
        """The ids of this process and of all its descendants."""
        children = {}
        for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
            if fields := stat(pid):
                children.setdefault(fields.parent, []).append(pid)
        found = [self.pid]
        for pid in found:
            found.extend(children.get(pid, ()))
        return found

    def wait_ready(self, port, body_bytes):
        """Returns once `GET /` gives 200 and a body of that length; an empty answer or a wrong one would make a fine figure."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            if self.popen.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.popen.returncode}: {self.tail()}")
            try:
                status, length = answer(port)
                if (status, length) == (200, body_bytes):
                    return
                seen = f"answered {status} with {length} bytes instead of 200 with {body_bytes}"
            except (OSError, http.client.HTTPException) as error:
                seen = f"gave no answer ({error!r})"
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} {seen} for {READY_SECONDS_MAX} s: {self.tail()}")
            time.sleep(0.02)

    def wait(self, seconds):
        """The exit status; a process that takes longer is stopped, and that is an error."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise RuntimeError(f"{self.name} was still running after {seconds} s: {self.tail()}") from None

    def stop(self, first=signal.SIGTERM):
        """Asks, waits, and then kills; a master that had to be killed takes its workers along."""
        if self.popen.poll() is not None:
            return
        born = {pid: fields.born for pid in self.tree() if (fields := stat(pid))}
        self.popen.send_signal(first)
        try:
            self.popen.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(STOP_SECONDS_MAX)
        for pid, when in born.items():
            if (fields := stat(pid)) and fields.born == when:
                os.kill(pid, signal.SIGKILL)

    def tail(self):
        return self.output.read_text(errors="replace")[-2000:].strip() or "it printed nothing"


class Stat:
    """The fields of /proc/PID/stat that the bench uses; times are in clock ticks."""

    def __init__(self, text):
        fields = text[text.rindex(")") + 2 :].split()
        self.parent = int(fields[1])
        self.cpu = sum(int(ticks) for ticks in fields[11:15])  # user, system, and both of the children waited for
        self.born = int(fields[19])


def stat(pid):
    """None once the process is gone."""
    try:
        return Stat(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def answer(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, len(response.read())
    finally:
        connection.close()


def free_port():
    """A port that nothing listens on now; the kernel hands them out in random order, so two peers rarely get the same."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
