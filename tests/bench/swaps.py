"""The work `swaps`: the small proxy under load with ten swaps a second and with none, in turns, on one and the same host."""

import subprocess
import threading
import time

import swap
from load import warm_up
from peers import tandem
from rounds import brief, place, serving, turn
from works import PROXY_SMALL

A_SECOND = 10


class Swapping:
    """Swaps at a steady pace from `with` to its end. A swap counts as failed if the reload says so or does not end."""

    def __init__(self, versions, seconds):
        self.versions = versions
        self.stock = [versions.make() for _ in range(A_SECOND * seconds)]  # before the load, which stamping would disturb
        self.done = 0
        self.failures = []
        self.last = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for _, path in self.stock:
            path.unlink()

    def run(self):
        """A swap that is late does not make up for it by haste: the next one is due at the next tenth."""
        begun = time.monotonic()
        while self.stock and not self.over.is_set():
            number, path = self.stock.pop(0)
            try:
                swap.install(self.versions.setting, path)
                subprocess.run(
                    swap.reload_command(self.versions.setting),
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=swap.RELOAD_SECONDS_MAX,
                )
                self.done += 1
                self.last = number
            except subprocess.CalledProcessError as error:
                self.failures.append(f"{number}: {(error.stderr or error.stdout).strip()}")
            except (OSError, subprocess.TimeoutExpired) as error:
                self.failures.append(f"{number}: {error}")
            passed = time.monotonic() - begun
            self.over.wait((int(passed * A_SECOND) + 1) / A_SECOND - passed)


def measure(options, say):
    """The rounds without swaps, those with, the number of swaps, and what went wrong with any."""
    still, swapped, failures, swaps = [], [], [], 0
    with serving(tandem, PROXY_SMALL, options, named=True) as (setting, process), place("stamped") as directory:
        versions = swap.Versions(setting, directory)
        with place("load") as load_directory:
            warm_up(setting.port, load_directory)

        def without():
            still.append(turn(setting, process, options))
            say(f"swaps: none: {brief(still[-1])}")

        def with_swaps():
            nonlocal swaps
            with Swapping(versions, options.seconds) as swapping:
                swapped.append(turn(setting, process, options))
            swaps += swapping.done
            failures.extend(swapping.failures)
            if swapping.last and (served := swap.served_by(setting.port)) != swapping.last:
                failures.append(f"{swapping.last} was reloaded, but {served} answers")
            say(f"swaps: {swapping.done} in {options.seconds} s: {brief(swapped[-1])}")

        for number in range(options.rounds):
            for half in (without, with_swaps) if number % 2 == 0 else (with_swaps, without):
                half()
    return still, swapped, swaps, failures
