"""`line/v1` is frozen: what models are judged on does not move under them.

A change of a figure or a rule of the line makes another line, with another version; nothing here is ever edited to let
a changed `line/v1` pass.
"""

import hashlib

from trainer.datasets.fingerprint import canonical_json, sequence_digest
from trainer.line.config import LineConfig
from trainer.line.simulator import simulate

FIGURES = "76803993c1a76023e5b398fe07d70b438f9047aa0ca5632070252714a9f2949a"
SEQUENCES = [("4966d7644044e433", 16), ("625bb4c60e3c10e8", 21)]


def test_the_figures_are_those_of_line_v1():
    assert hashlib.sha256(canonical_json(LineConfig().model_dump(mode="json"))).hexdigest() == FIGURES


def test_a_seed_makes_the_sequences_it_made_when_the_line_was_frozen():
    made = list(simulate(LineConfig(), strands=2, hours=2, seed=1))
    assert [(sequence_digest(one.sequence)[:16], len(one.events)) for one in made] == list(SEQUENCES)
