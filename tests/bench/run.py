"""`make bench`: every benchmark in turn, then the page.

OMP_NUM_THREADS=1 python tests/bench/run.py
"""

import time

import bench_export
import bench_line
import bench_training
import bench_training_data
import results


def main() -> None:
    """Measure and write."""
    began_s = time.perf_counter()
    modules = (bench_line, bench_export, bench_training, bench_training_data)
    rows = [row for module in modules for row in module.rows()]
    results.write(rows, time.perf_counter() - began_s)


if __name__ == "__main__":
    main()
