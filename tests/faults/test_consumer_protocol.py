"""`group.protocol=consumer`: a static member that is back too soon is refused for good, and tries as another client."""

from pathlib import Path

import pytest
from support import fault_scenes

SOON = {
    "group.consumer.min.session.timeout.ms": "4000",
    "group.consumer.session.timeout.ms": "4000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
}
"""A broker's session is 45 s by default."""


@pytest.mark.extended
@pytest.mark.kafka(own=True)
@pytest.mark.timeout(300)
def test_a_killed_worker_is_let_in_again(bundle: Path) -> None:
    with fault_scenes.line(1, 3, bundle, seed=71, broker=SOON, kafka__group_protocol="consumer") as (_, run):
        for _ in range(2):
            run.wait_s(1.0)
            run.restart()
        run.wait_for("joining the group anew")
        run.finish(120)
