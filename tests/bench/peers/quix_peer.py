"""The job on Quix Streams: windows in a dict beside it, or in its durable state.

python quix_peer.py dict|state BOOTSTRAP TOPIC OUTPUT BUNDLE STRANDS SCANS
"""

import sys
import tempfile
import uuid
from typing import Any

from job import Job, Meter, Scan, answer
from quixstreams import Application, State


def main(kind: str, bootstrap: str, topic: str, output: str, bundle: str, strands: str, count: str) -> None:
    """Run until the meter ends it."""
    job = Job(bundle)
    meter = Meter(int(strands), job.length, int(count))
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"quix-{uuid.uuid4().hex}",
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        loglevel="WARNING",
    )
    scans = app.dataframe(app.topic(topic, value_deserializer="json"))

    def beside(scan: Scan) -> Scan | None:
        window = job.due(scan)
        meter.count([scan], window is not None)
        return None if window is None else answer(scan, job.predict([window])[0])

    def durable(scan: Scan, state: State) -> Scan | None:
        window: Any = state.get("window", [])
        window = [*window, job.row(scan)][-job.length :]
        count = state.get("count", 0) + 1
        state.set("window", window)
        state.set("count", count)
        is_due = len(window) == job.length and count % job.stride == 0
        meter.count([scan], is_due)
        if not is_due:
            return None
        return answer(scan, job.predict([window])[0])

    answers = scans.apply(durable, stateful=True) if kind == "state" else scans.apply(beside)
    answers.filter(lambda one: one is not None).to_topic(app.topic(output, value_serializer="json"))
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
