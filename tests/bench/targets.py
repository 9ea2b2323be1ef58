"""The targets: what Tandem has to reach, each beside the figure that says whether it did."""

from dataclasses import dataclass
from statistics import median

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


def of_carry(found):
    """`found`: the rounds with idle sessions and with bound ones. What a target allows 50,000 sessions, fewer get their share of."""
    idle, bound, every = found["idle"], found["bound"], found["idle"] + found["bound"]
    share = idle[0]["sessions"] / 50_000
    return [
        Target("bound SMPP sessions moved in, median", median(one["took_ms"] for one in bound), 100, "<", " ms", 1),
        Target("idle TCP sessions moved in, median", median(one["took_ms"] for one in idle), 1000 * share, "<", " ms", 1),
        Target("longest wait around a swap, beyond that without, median", median(map(pause, every)), 20, "<", " ms", 1),
        Target("sessions that stay behind", sum(one["stay"] for one in every), 0, "<=", places=0),
        Target("sessions closed, and answers wrong", idle[-1]["failed"] + bound[-1]["failed"], 0, "<=", places=0),
    ]


def pause(figures):
    """What a swap adds to the longest wait, which a busy machine makes long without any."""
    return max(0, figures["worst_ms"] - figures["worst_still_ms"])


def of_idle_memory(found):
    return [
        Target("KiB of an idle session", max(found["opened"], found["carried"]), 4, "<", " KiB"),
        Target("sessions closed, and answers wrong", found["failed"], 0, "<=", places=0),
    ]


def of_durable(found):
    return [
        Target("updates a second, to those of SQLite alone", rate(found, "updates_s", "gateway", "sqlite"), 0.6, ">="),
        Target("what connections allow, to updates a second", rate(found, "updates_s", "unstored", "gateway"), 1, ">="),
        Target("… with one each, to updates with one each", rate(found, "updates_s", "unstored, one each", "gateway, one each"), 1, ">="),
    ]


def of_submit(found):
    ends = [rate(found, "messages_s", "direct", name) for name in ("relay", "tandem")]
    return [
        Target("messages a second, to the bare relay's", rate(found, "messages_s", "tandem", "relay"), 0.5, ">="),
        Target("… to one's that writes each PDU by itself", rate(found, "messages_s", "tandem", "relay, each"), 0.5, ">="),
        Target("messages a second without anything between, to those with", min(ends), 1, ">="),
        Target("messages refused", sum(one["failed"] for rounds in found.values() for one in rounds), 0, "<=", places=0),
    ]


def of_messages(found):
    """`found`: the rounds by path and system."""
    none, ours = "nothing between", {path: found[path, "tandem"] for path in ("rest", "smpp") if (path, "tandem") in found}

    def against(path, name):
        return rate(found, "messages_s", (path, "tandem"), (path, name)) if path in ours and (path, name) in found else None

    def room(path):
        """What the bench itself allows, to the fastest system."""
        ratios = [rate(found, "messages_s", (path, none), turn) for turn in found if turn[0] == path and turn[1] != none]
        return min(ratios, default=None)

    every = [figures for turn, rounds in found.items() if turn[1] == "tandem" for figures in rounds]
    return [
        Target("REST → SMPP, messages a second, to Kannel's", against("rest", "kannel"), 5, ">=", places=1),
        Target("… to Kannel's with its other store", against("rest", "kannel-file"), 5, ">=", places=1),
        Target("REST → SMPP, messages a second, to Jasmin's", against("rest", "jasmin"), 20, ">=", places=1),
        Target("SMPP → SMPP, messages a second, to Jasmin's", against("smpp", "jasmin"), 20, ">=", places=1),
        Target("what the applications of the bench allow, to the fastest", room("rest"), 1, ">="),
        Target("what its ESMEs and its SMSC allow, to the fastest", room("smpp"), 1, ">="),
        Target("messages lost or doubled", sum(abs(one["lost"]) + one["doubled"] for one in every), 0, "<=", places=0),
        Target("messages refused or not answered", sum(one["failed"] for one in every), 0, "<=", places=0),
    ]


def of_admission(found):
    """What is taken in advance is the worker's own, so it costs two threads what it costs one."""
    advance = [figures for name, figures in found.items() if name.startswith("taken in advance")]
    each = [figures[key] for figures in advance for key in ("one_ns", "two_ns")]
    flat = [figures["two_ns"] / figures["one_ns"] for figures in advance]
    return [
        Target("an admission taken in advance, on one thread or two", max(each, default=None), 50, "<=", " ns", 1),
        Target("… on two threads, to on one", max(flat, default=None), 1.25, "<="),
    ]


def of_overhead(figures, plain):
    rates = {name: ratio_of("req_s", rounds, plain) for name, rounds in figures.items()}
    return [Target(f"requests a second with {name}, to those with nothing", rate, 0.95, ">=") for name, rate in rates.items()]


def of_calls(found):
    return [Target("CPU of a call and its answer, median", median(one["call_ns"] for one in found), 300, "<=", " ns", 0)]


def rate(found, name, ours, theirs):
    return ratio_of(name, found[ours], found[theirs])


def of_reload_latency(median_ms, stale, closed):
    return [
        Target("reload to the first answer of the new version, median", median_ms, 50, "<", " ms", 1),
        Target("answers of the old version after the reload was over", stale, 0, "<=", places=0),
        Target("connections closed", closed, 0, "<=", places=0),
    ]
