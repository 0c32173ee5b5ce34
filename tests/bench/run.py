"""`make bench`: every benchmark in turn, then the page.

OMP_NUM_THREADS=1 python tests/bench/run.py
"""

import time

import bench_cuda
import bench_export
import bench_line
import bench_refill
import bench_stream
import bench_training
import bench_training_data
import results


def main() -> None:
    """Measure and write."""
    began_s = time.perf_counter()
    modules = (bench_line, bench_refill, bench_stream, bench_export, bench_training, bench_training_data, bench_cuda)
    found = {module: list(module.rows()) for module in modules}
    rows = [row for some in found.values() for row in some]
    absent = [module.ABSENT for module, some in found.items() if not some]
    results.write(rows, absent, time.perf_counter() - began_s)


if __name__ == "__main__":
    main()
