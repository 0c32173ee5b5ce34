"""`make bench`: every benchmark in turn, then the page.

OMP_NUM_THREADS=1 python tests/bench/run.py
"""

import time

import bench_cuda
import bench_cuda_answers
import bench_export
import bench_latency
import bench_line
import bench_refill
import bench_stream
import bench_training
import bench_training_data
import results


def main() -> None:
    """Measure and write."""
    began_s = time.perf_counter()
    modules = (
        bench_line, bench_refill, bench_stream, bench_latency, bench_export, bench_training, bench_training_data,
        bench_cuda, bench_cuda_answers,
    )  # fmt: skip
    found = [one for module in modules for one in module.rows()]
    rows = [one for one in found if isinstance(one, results.Row)]
    absent = [one.why for one in found if isinstance(one, results.Absent)]
    results.write(rows, absent, time.perf_counter() - began_s)


if __name__ == "__main__":
    main()
