"""`line/v1` is frozen: what models are judged on does not move under them.

A change of a figure or a rule of the line makes another line, with another version; nothing here is ever edited to let
a changed `line/v1` pass.
"""

import hashlib

from trainer.datasets.fingerprint import canonical_json, sequence_digest
from trainer.line.config import LineConfig
from trainer.line.simulator import simulate

FIGURES = "27d0b1e224f5b1ac5513fb87996c58ed207c35f93e59170ca5d7b7be13319040"
SEQUENCES = [("fc5eefcaab732daa", 16), ("1eacf580d3957929", 21)]


def test_the_figures_are_those_of_line_v1():
    assert hashlib.sha256(canonical_json(LineConfig().model_dump(mode="json"))).hexdigest() == FIGURES


def test_a_seed_makes_the_sequences_it_made_when_the_line_was_frozen():
    made = list(simulate(LineConfig(), strands=2, hours=2, seed=1))
    assert [(sequence_digest(one.sequence)[:16], len(one.events)) for one in made] == list(SEQUENCES)
