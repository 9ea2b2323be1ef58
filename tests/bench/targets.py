"""The targets: what Tandem has to reach, each beside the figure that says whether it did."""

from dataclasses import dataclass

from report import medians, ratio_of

USER_INSTRUCTIONS = "user instructions of a request"


@dataclass(frozen=True)
class Target:
    name: str
    figure: float | None
    limit: float
    bound: str  # "<=", "<" or ">="
    unit: str = ""
    places: int = 2

    @property
    def wanted(self):
        return f"{self.bound} {self.limit:,g}{self.unit}"

    @property
    def met(self):
        """None where there is no figure."""
        if self.figure is None:
            return None
        if self.bound == "<":
            return self.figure < self.limit
        return self.figure <= self.limit if self.bound == "<=" else self.figure >= self.limit


def of_proxy_small(figures, subject):
    """`figures`: the rounds of each peer by name."""
    ours = figures[subject]

    def against(peer, name):
        return ratio_of(name, ours, figures[peer]) if peer in figures and peer != subject else None

    own = medians(ours)
    return [
        Target("CPU of a request, to nginx's", against("nginx", "cpu_us"), 0.82, "<="),
        Target("CPU of a request, to haproxy's", against("haproxy", "cpu_us"), 1, "<"),
        Target("p99, to nginx's", against("nginx", "p99_ms"), 1, "<="),
        Target("p99, to haproxy's", against("haproxy", "p99_ms"), 1, "<="),
        Target("requests a second, to nginx's", against("nginx", "req_s"), 1, ">="),
        Target("requests a second, to haproxy's", against("haproxy", "req_s"), 1, ">="),
        Target("RSS, to Envoy's", against("envoy", "rss_mb"), 1, "<"),
        Target(USER_INSTRUCTIONS, own.get("user_instructions"), 10_000, "<=", places=0),
        Target("kernel instructions of a request, to nginx's", against("nginx", "kernel_instructions"), 1, "<="),
        Target("failed requests", own["failed"], 0, "<=", places=0),
    ]


def of_instructions(user_instructions):
    return [Target(USER_INSTRUCTIONS, user_instructions, 10_000, "<=", places=0)]


def of_swaps(still, swapped, failed_swaps):
    return [
        Target("p99.9 with ten swaps a second, to that with none", ratio_of("p999_ms", swapped, still), 1.25, "<="),
        Target("failed requests", sum(figures["failed"] for figures in still + swapped), 0, "<=", places=0),
        Target("failed swaps", failed_swaps, 0, "<=", places=0),
    ]


def of_reload_latency(median_ms, stale, closed):
    return [
        Target("reload to the first answer of the new version, median", median_ms, 50, "<", " ms", 1),
        Target("answers of the old version after the reload was over", stale, 0, "<=", places=0),
        Target("connections closed", closed, 0, "<=", places=0),
    ]
