"""One swap: a stamped copy of the HTTP component into the components directory, then a reload."""

import http.client
import os
import re
import subprocess
from pathlib import Path

from peers import built, tandem

RELOAD_SECONDS_MAX = 10


class Versions:
    """Makes copies of the component that differ in their number alone, each newer than every one before."""

    def __init__(self, setting, directory):
        self.setting = setting
        self.directory = Path(directory)
        self.stamp = built(setting, "stamp")
        self.made = 0
        self.major = int(served_by(setting.port).split(".")[0]) + 1

    def make(self):
        """Stamps a copy outside of the components directory; returns its number and its path."""
        self.made += 1
        number = f"{self.major}.0.{self.made}"
        path = self.directory / f"{number}.so"
        command = [self.stamp, built(self.setting, tandem.LIBRARY), path, number]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RELOAD_SECONDS_MAX)
        if done.returncode != 0:
            raise RuntimeError(f"stamp failed: {done.stderr.strip()}")
        return number, path


def install(setting, path):
    """Copies under a name that the host does not look at, then renames: the host finds all of it or none."""
    target = tandem.components(setting) / tandem.LIBRARY
    hidden = target.with_name("." + target.name)
    hidden.write_bytes(path.read_bytes())
    os.rename(hidden, target)
    path.unlink()


def reload_command(setting):
    return [built(setting, "tandem"), "reload", "--config", tandem.configuration(setting)]


def served_by(port):
    """The number of the version that answers a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return number(connection.getresponse().headers.get("x-served-by", ""))
    finally:
        connection.close()


def number(served_by):
    """`1.2.0` of `http@1.2.0#3fa9c1`."""
    found = re.search(r"\d+\.\d+\.\d+", served_by)
    if not found:
        raise RuntimeError(f"x-served-by names no version: {served_by!r}")
    return found[0]
