"""Run the simulation by hand: ``python -m tests.simulation --seeds 500``."""

import argparse
import sys
import time

from tests.simulation.simulate import Report, simulate


def main() -> int:
    """Simulate the seeds that were asked for, and return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    parser.add_argument("--seed", type=int, help="only this seed")
    parser.add_argument("--trace", action="store_true", help="show what happened, also if all went well")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    options = parser.parse_args()
    several = range(options.first, options.first + options.seeds)
    seeds = several if options.seed is None else [options.seed]
    failed = 0
    began = time.monotonic()
    for count, seed in enumerate(seeds, start=1):
        report = simulate(seed)
        if report.broken is not None or options.trace:
            show(report, with_trace=options.trace or not options.keep_going)
        if report.broken is not None:
            failed += 1
            if not options.keep_going:
                break
        if count % 50 == 0:
            print(f"{count} seeds, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{count} seeds, {failed} failed, {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


def show(report: Report, *, with_trace: bool) -> None:
    """Print what became of a seed."""
    if with_trace:
        print("\n".join(report.trace))
    print(f"seed {report.seed}: {report.broken or 'every promise was kept'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
