"""The works: what every peer is asked to do in the same way. Which answers there are is decided here and nowhere else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    name: str
    title: str
    body_bytes: int
    proxied: bool  # from an upstream; if not, the peer answers by itself

    @property
    def body(self):
        return "x" * self.body_bytes


PROXY_SMALL = Work("proxy-small", "reverse proxy, answers of 200 bytes", 200, True)
PROXY_LARGE = Work("proxy-large", "reverse proxy, answers of 64 KiB", 64 * 1024, True)
FIXED = Work("fixed", "fixed responder, answers of 200 bytes", 200, False)
SIDE_BY_SIDE = {work.name: work for work in (PROXY_SMALL, PROXY_LARGE, FIXED)}
