#!/usr/bin/env python3
"""The bench: Tandem and its peers side by side, one worker each, in one run and in turns.

Absolute figures of a shared machine swing by two; only figures of the same run may be compared, and the ratios are what to look at.
Each work stands in a module of its own; this one takes the arguments and prints.

    scripts/bench                                   everything
    scripts/bench --work proxy-small --rounds 9     one work, with more rounds
    scripts/bench --work swaps,reload-latency       what a swap does to traffic
    scripts/bench --work carry,idle-memory          what many sessions cost that last
    scripts/bench --work durable,smpp-submit        what is on the disk before it is answered; messages of ESMEs to an SMSC
    scripts/bench --work admission,calls            an agreement's admission, a call between services
    scripts/bench --work overhead                   what metrics, records and traces cost
    scripts/bench --work messages                   messages kept, acknowledged and sent, beside Kannel and Jasmin
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import admission
import calls
import carry
import durable
import instructions
import latency
import messages
import meter
import overhead
import submit
import swaps
import targets
from peers import Missing, Setting, envoy, haproxy, nginx, relay, tandem
from report import figures_table, medians, ratios, ratios_table, table, targets_table
from rounds import side_by_side
from works import PROXY_SMALL, SIDE_BY_SIDE

PEERS = {"tandem": tandem, "nginx": nginx, "haproxy": haproxy, "envoy": envoy, "relay": relay}
WORKS = [*SIDE_BY_SIDE, "instructions", "swaps", "reload-latency", "carry", "idle-memory", "durable", "smpp-submit", "messages", "admission", "calls", "overhead"]


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that what was started is stopped
    options.counted = meter.countable()
    if not options.counted:
        print("perf finds no hardware counters here: instructions are counted in the work `instructions` alone\n")
    result = {"machine": machine(), "rounds": options.rounds, "seconds": options.seconds, "works": {}}
    result["versions"] = versions(options)
    missed = failed = False
    for name in options.work:
        try:
            report = run(name, options)
        except Missing as missing:
            print(f"{name} is skipped: {missing}\n")
            continue
        except RuntimeError as error:
            print(f"{name} FAILED: {error}\n")
            failed = True
            continue
        result["works"][name] = report
        missed |= any(target["met"] is False for target in report.get("targets", ()))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if failed or (options.strict and missed) else 0


def run(name, options):
    if name == "instructions":
        return run_instructions(options)
    if name == "swaps":
        return run_swaps(options)
    if name == "reload-latency":
        return run_reload_latency(options)
    if name == "carry":
        return run_carry(options)
    if name == "idle-memory":
        return run_idle_memory(options)
    if name == "durable":
        return run_durable(options)
    if name == "smpp-submit":
        return run_submit(options)
    if name == "admission":
        return run_admission(options)
    if name == "calls":
        return run_calls(options)
    if name == "messages":
        return run_messages(options)
    if name == "overhead":
        return run_overhead(options)
    return run_side_by_side(SIDE_BY_SIDE[name], options)


def run_side_by_side(work, options):
    figures = side_by_side(work, {name: PEERS[name] for name in options.peers}, options, say)
    rows = {name: medians(rounds) for name, rounds in figures.items()}
    print(f"\n{work.name}: {work.title}; medians of {options.rounds} rounds of {options.seconds} s")
    print(figures_table("peer", rows))
    report = {"rounds": figures, "medians": rows}
    subject = options.subject
    if subject in figures:
        others = {name: ratios(figures[subject], rounds) for name, rounds in figures.items() if name != subject}
        print("\n" + ratios_table(f"{subject} to", others))
        report["ratios"] = others
        if work is PROXY_SMALL:
            report["targets"] = show(targets.of_proxy_small(figures, subject))
    print()
    return report


def run_instructions(options):
    found = instructions.measure({name: PEERS[name] for name in options.peers}, options, say)
    print(f"\ninstructions: {PROXY_SMALL.title}; user instructions of a request, as valgrind counts them")
    print(table([["peer", "user instr"], *([name, f"{count:,.0f}"] for name, count in found.items())]))
    shown = show(targets.of_instructions(found.get(options.subject)))
    print()
    return {"user_instructions": found, "targets": shown}


def run_swaps(options):
    still, swapped, count, failures = swaps.measure(options, say)
    rows = {"none": medians(still), "ten a second": medians(swapped)}
    found = {"none": ratios(swapped, still)}
    print(f"\nswaps: {PROXY_SMALL.title}; medians of {options.rounds} rounds of {options.seconds} s; {count} swaps in all")
    print(figures_table("swaps", rows))
    print("\n" + ratios_table("ten a second to", found))
    for failure in failures[:5]:
        print(f"  failed: {failure}")
    shown = show(targets.of_swaps(still, swapped, len(failures)))
    print()
    rounds = {"none": still, "ten_a_second": swapped}
    return {"rounds": rounds, "medians": rows, "ratios": found, "swaps": count, "failures": failures, "targets": shown}


def run_reload_latency(options):
    samples, stale, closed = latency.measure(options, say)
    rows = latency.summary(samples)
    print("\nreload-latency: on a connection that was open before, without other load")
    print(table(rows))
    shown = show(targets.of_reload_latency(float(rows[1][1]), stale, closed))
    print()
    return {"samples_ms": samples, "targets": shown}


def run_carry(options):
    found, counts = carry.carry(options, say)
    print(f"\ncarry: {counts['bound']} bound SMPP sessions and {counts['idle']} idle TCP sessions; {options.rounds} swaps of each")
    print(carry.carry_table(found))
    shown = show(targets.of_carry(found))
    print()
    return {"rounds": found, "targets": shown}


def run_idle_memory(options):
    found = carry.idle_memory(options, say)
    print(f"\nidle-memory: {found['sessions']} idle TCP sessions; the host's resident memory by session")
    print(table([["KiB a session", "opened", "carried"], ["", f"{found['opened']:.2f}", f"{found['carried']:.2f}"]]))
    shown = show(targets.of_idle_memory(found))
    print()
    return found | {"targets": shown}


def run_durable(options):
    found = durable.measure(options, say)
    print(f"\ndurable: 64 connections with windows of 16, and 512 with one update each; {options.rounds} rounds of {options.seconds} s")
    print(durable.durable_table(found))
    shown = show(targets.of_durable(found))
    print()
    return {"rounds": found, "targets": shown}


def run_submit(options):
    found = submit.measure(options, say)
    print(f"\nsmpp-submit: {submit.BINDS} binds with windows of {submit.WINDOW}; {options.rounds} rounds of {options.seconds} s")
    print(submit.submit_table(found))
    shown = show(targets.of_submit(found))
    print()
    return {"rounds": found, "targets": shown}


def run_messages(options):
    found, kept = messages.measure(options, say)
    ends = f"{messages.CONNECTIONS} connections over HTTP, {messages.BINDS} binds with windows of {messages.WINDOW}"
    print(f"\nmessages: {ends}; {options.rounds} rounds of {options.seconds} s, and until all has come to the SMSC")
    print(messages.messages_table(found, kept))
    shown = show(targets.of_messages(found))
    print()
    return {"rounds": {messages.said(turn): rounds for turn, rounds in found.items()}, "targets": shown}


def run_admission(options):
    found = admission.measure(options, say)
    print("\nadmission: an exchange of an account, with one agreement; CPU time of the worker, medians of five turns")
    print(admission.admission_table(found))
    shown = show(targets.of_admission(found))
    print()
    return {"admissions": found, "targets": shown}


def run_calls(options):
    found = calls.measure(options, say)
    print(f"\ncalls: {calls.CONNECTIONS} sessions call a stateless service on their worker, {calls.CALLS} times in an event")
    print(calls.calls_table(found))
    shown = show(targets.of_calls(found))
    print()
    return {"rounds": found, "targets": shown}


def run_overhead(options):
    figures = overhead.measure(options, say)
    rows = {name: medians(rounds) for name, rounds in figures.items()}
    print(f"\noverhead: {PROXY_SMALL.title}; medians of {options.rounds} rounds of {options.seconds} s")
    print(figures_table("seen by", rows))
    plain = figures.pop(overhead.NOTHING)
    found = {name: ratios(rounds, plain) for name, rounds in figures.items()}
    print("\n" + ratios_table(f"to {overhead.NOTHING}", found))
    shown = show(targets.of_overhead(figures, plain))
    print()
    return {"medians": rows, "ratios": found, "targets": shown}


def show(found):
    print("\n" + targets_table(found))
    return [asdict(target) | {"met": target.met} for target in found]


def say(line):
    print(f"· {line}", file=sys.stderr, flush=True)


def machine():
    return {"kernel": platform.release(), "architecture": platform.machine(), "cpus": os.cpu_count()}


def versions(options):
    """The first line that each peer prints about itself, where it is here."""
    setting = Setting(Path(), 0, None, options.release, options.envoy)
    found = {}
    for name in options.peers:
        command = PEERS[name].version(setting)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20) if command else None
        except OSError:
            continue
        if done and (lines := (done.stdout + done.stderr).strip().splitlines()):
            found[name] = lines[0].strip()
    return found


def arguments():
    parser = argparse.ArgumentParser(prog="bench", description="Tandem and its peers side by side.")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="turns of each peer (5)")
    parser.add_argument("--seconds", type=positive, default=8, metavar="N", help="length of a turn (8)")
    parser.add_argument("--peers", type=among(PEERS), default=list(PEERS), metavar="A,B", help=", ".join(PEERS))
    systems = list(messages.SYSTEMS)
    parser.add_argument("--systems", type=among(systems), default=systems, metavar="A,B", help=f"of messages: {', '.join(systems)}")
    parser.add_argument("--work", type=among(WORKS), default=WORKS, metavar="A,B", help=", ".join(WORKS))
    parser.add_argument("--subject", choices=PEERS, default="tandem", help="the peer that ratios are of (tandem)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round there")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--release", type=Path, default=Path("target/release"), metavar="DIR", help="what cargo built")
    parser.add_argument("--envoy", type=Path, default=Path("target/bench/envoy"), metavar="FILE", help="Envoy's binary")
    parser.add_argument("--jasmin", type=Path, default=Path("target/bench/jasmin"), metavar="DIR", help="where Jasmin is installed")
    options = parser.parse_args()
    options.release = options.release.absolute()
    options.envoy = options.envoy.absolute()
    options.jasmin = options.jasmin.absolute()
    return options


def positive(text):
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def among(known):
    def parse(text):
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main())
