"""`make bench`: every benchmark in turn, then the page.

OMP_NUM_THREADS=1 python tests/bench/run.py
"""

import time

import bench_line
import bench_training
import results


def main() -> None:
    """Measure and write."""
    began_s = time.perf_counter()
    results.write([*bench_line.rows(), *bench_training.rows()], time.perf_counter() - began_s)


if __name__ == "__main__":
    main()
