"""The job as a script that polls and predicts, as one writes it first: the client's settings, message by message.

python script_peer.py BOOTSTRAP TOPIC OUTPUT BUNDLE STRANDS SCANS
"""

import json
import sys
import uuid

from confluent_kafka import Consumer, Producer
from job import Job, Meter, answer


def main(bootstrap: str, topic: str, output: str, bundle: str, strands: str, count: str) -> None:
    """Run until the meter ends it."""
    job = Job(bundle)
    meter = Meter(int(strands), job.length, int(count))
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": f"script-{uuid.uuid4().hex}", "auto.offset.reset": "earliest"}
    )
    producer = Producer({"bootstrap.servers": bootstrap})
    consumer.subscribe([topic])
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        scan = json.loads(message.value())
        window = job.due(scan)
        if window is not None:
            found = answer(scan, job.predict([window])[0])
            producer.produce(output, json.dumps(found), scan["strand_id"])
            producer.poll(0)
        meter.count([scan], window is not None)


if __name__ == "__main__":
    main(*sys.argv[1:])
