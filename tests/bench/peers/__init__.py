"""The peers: each module turns a setting into configuration files and the command that serves them, with one worker and no access log.

`command(setting, work)` returns the command line; `VERSION` is one that prints the version. A peer that cannot do a work, or is not
here, raises `Missing` with the reason.
"""

from dataclasses import dataclass
from pathlib import Path


class Missing(Exception):
    """This peer takes no part; the text says why."""


@dataclass(frozen=True)
class Setting:
    directory: Path  # the peer's own, for its files
    port: int  # where it listens, on 127.0.0.1
    upstream_port: int | None
    release: Path  # where cargo put what it built
    envoy: Path


def built(setting, name):
    path = setting.release / name
    if not path.exists():
        raise Missing(f"{path} has not been built")
    return path
