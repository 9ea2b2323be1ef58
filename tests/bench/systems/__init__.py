"""The systems of the work `messages`: each takes messages, keeps them, and gives them to an SMSC.

Each module has a function `(setting, stack)` that starts one in the setting's directory, has the stack end it, and returns a `System`.
One that is not here raises `Missing` with the reason. A message is of the account `b0` with the password `bench`.
"""

from dataclasses import dataclass
from pathlib import Path

# How many connections applications have, with one request under way on each; the binds of ESMEs, and their windows.
CONNECTIONS = 64
BINDS, WINDOW = 8, 100
# What carries a message: the sender, the recipient, and a text of 100 characters whose digits are its number.
SOURCE, DESTINATION = "447700900001", "447700900002"
TEXT = "m" + "0" * 12 + "x" * 87


@dataclass(frozen=True)
class Setting:
    directory: Path  # the system's own, on the disk
    sink_port: int  # where the SMSC is, on 127.0.0.1
    options: object


@dataclass(frozen=True)
class Front:
    """Where messages are taken."""

    port: int
    request: bytes = b""  # of applications: what carries a message
    taken: str = ""  # a word of the answer to one that was taken


@dataclass(frozen=True)
class System:
    processes: list  # all that is its, for its CPU time
    rest: Front
    smpp: Front | None
    kept: str  # where a message is that was acknowledged
    tail: object = None  # says why it does not serve


def request(port, method, target, fields=(), body=""):
    """One of HTTP/1.1, whose connection stays."""
    head = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", *fields]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()
