"""`make bench`: every benchmark in turn, then the page.

OMP_NUM_THREADS=1 python tests/bench/run.py
"""

import time

import bench_export
import bench_line
import results


def main() -> None:
    """Measure and write."""
    began_s = time.perf_counter()
    found = [*bench_line.rows(), *bench_export.rows()]
    results.write(found, time.perf_counter() - began_s)


if __name__ == "__main__":
    main()
