"""The job on Bytewax, in batches: windows in a dict beside it, all that are due in a batch predicted at once.

python bytewax_peer.py BOOTSTRAP TOPIC OUTPUT BUNDLE STRANDS SCANS
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main
from job import Job, Meter, answer


def main(bootstrap: str, topic: str, output: str, bundle: str, strands: str, count: str) -> None:
    """Run until the meter ends it."""
    job = Job(bundle)
    meter = Meter(int(strands), job.length, int(count))

    def batch(messages: list[Any]) -> Iterator[KafkaSinkMessage]:
        scans, windows = [], []
        read = [json.loads(message.value) for message in messages]
        for scan in read:
            window = job.due(scan)
            if window is not None:
                scans.append(scan)
                windows.append(list(window))
        if windows:
            for scan, probabilities in zip(scans, job.predict(windows), strict=True):
                yield KafkaSinkMessage(scan["strand_id"].encode(), json.dumps(answer(scan, probabilities)).encode())
        meter.count(read, len(windows))

    flow = Dataflow("peer")
    scans = op.input("scans", flow, KafkaSource([bootstrap], [topic], tail=True, batch_size=1000))
    answers = op.flat_map_batch("predict", scans, batch)
    op.output("answers", answers, KafkaSink([bootstrap], output))
    run_main(flow)


if __name__ == "__main__":
    main(*sys.argv[1:])
