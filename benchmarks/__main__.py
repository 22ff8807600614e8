"""Run benchmarks; see the package."""

import argparse
import multiprocessing
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import (  # noqa: F401 (they fill CASES)
    _report,
    chains,
    decoding,
    derivatives,
    exact,
    graphs,
    mapped,
    mean_field,
    networks,
    planning,
    prediction,
    resources,
    scaling,
    sparse_chains,
    tables,
    wide_graphs,
)
from benchmarks._machine import environment, pin
from benchmarks._measure import CASES, MissingData, Run

ROOT = Path(__file__).resolve().parents[1]


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed, memory and quality of skstruct.")
    parser.add_argument("cases", nargs="*", help="names or patterns, such as 'chains.*' (default: all)")
    parser.add_argument("--size", choices=["tiny", "small", "full"], default="small")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of data files")
    parser.add_argument("--repeats", type=int, default=5, help="rounds in which all engines take their turn")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "output")
    parser.add_argument("--list", action="store_true", help="show the cases and end")
    options = parser.parse_args(argv)
    patterns = options.cases or ["*"]
    chosen = [name for name in CASES if any(fnmatch(name, p) or fnmatch(name.split(".")[1], p) for p in patterns)]
    if not chosen:
        parser.error(f"no case matches {patterns}; --list shows them")
    return options, chosen


def run_case(run):
    """Run one case and return its results, with the error that ended it, if any."""
    error, start = None, time.perf_counter()
    try:
        CASES[run.name].function(run)
    except MissingData as missing:
        run.record("", f"not run: {missing}", None, "")
    except Exception as problem:  # any error is reported with its case, and all other cases run
        error = traceback.format_exc()
        last = str(problem).strip().splitlines()
        run.record("", f"FAILED: {type(problem).__name__} {last[0] if last else ''}"[:120], None, "")
    return run, error, time.perf_counter() - start


def main(argv=None):
    """Run the selected cases, each in a separate process, and write the report."""
    options, chosen = parse(argv)
    if options.list:
        for name in chosen:
            print(f"{name}\n    {CASES[name].title}. {CASES[name].description}")
        return 0
    core = pin()
    # A forked child has imported all modules, and its memory is separate.
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    folder, results, failed = options.output / options.size, [], 0
    for name in chosen:
        run = Run(name, options.size, options.data, options.repeats)
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            run, error, seconds = pool.submit(run_case, run).result()
        results.append(_report.save(folder, run, seconds, environment(core)))
        print(f"{name}: {seconds:.1f} s", file=sys.stderr, flush=True)
        if error:
            failed += 1
            print(error, file=sys.stderr)
    print(_report.write(folder, results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
