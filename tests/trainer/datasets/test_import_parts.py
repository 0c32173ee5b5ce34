"""What the importers share: order of time, splits by group, names."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ContractError
from models.messages import is_strand_id
from models.windows import Outcome, StrandTimeline, WindowRules
from trainer.datasets.importers.names import slugs
from trainer.datasets.importers.recorded import Repairs, flagged_events
from trainer.datasets.labels import label_at
from trainer.datasets.records import SPLITS
from trainer.datasets.splits import assign_group_splits

TARGETS = st.sets(st.sampled_from(["sticker", "crack", "leak"]))


# Ten times: so few that the worker's rule of the tenth late scan in a row has no part in it.
@given(times=st.lists(st.integers(0, 20), min_size=1, max_size=10))
def test_the_rows_kept_are_those_a_worker_would_use(times):
    timeline = StrandTimeline(WindowRules(5, 1, 1, 1000), "p.c.s")
    outcomes = [timeline.observe(time).outcome for time in times]
    used = [outcome is Outcome.USED for outcome in outcomes]
    repairs = Repairs()
    if 2 * sum(used) < len(times):
        with pytest.raises(ContractError, match="expected times that rise"):
            repairs.in_order(np.array(times), "a", "here")
        return
    assert repairs.in_order(np.array(times), "a", "here").tolist() == used
    same, late = outcomes.count(Outcome.DUPLICATE), outcomes.count(Outcome.LATE)
    line = f"a: dropped {same} rows of the same time and {late} rows out of order"
    assert repairs.lines == ([] if all(used) else [line])


@given(flags=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12), steps=st.randoms())
def test_events_label_exactly_the_flagged_rows(flags, steps):
    times = np.cumsum([steps.randint(1, 9) for _ in flags])
    columns = dict(zip(("sticker", "crack"), np.array(flags).T, strict=True))
    events = flagged_events("a", "p.c.s", times, columns, 1)
    assert len({event.event_id for event in events}) == len(events)
    for target, flagged in columns.items():
        assert label_at(times, events, target).tolist() == flagged.astype(int).tolist()


@given(groups=st.dictionaries(st.text(max_size=3), TARGETS, max_size=40), seed=st.integers(0, 5))
def test_every_group_has_one_split_whatever_its_order(groups, seed):
    splits = assign_group_splits(groups, seed)
    assert splits.keys() == groups.keys()
    assert set(splits.values()) <= set(SPLITS)
    assert assign_group_splits(dict(reversed(groups.items())), seed) == splits


@given(counts=st.dictionaries(st.sampled_from(["sticker", "crack", "leak", ""]), st.integers(3, 30), min_size=1))
def test_each_split_has_its_share_of_each_target(counts):
    groups = {f"{target}{number}": {target} - {""} for target, count in counts.items() for number in range(count)}
    splits = assign_group_splits(groups, seed=3)
    for target, count in counts.items():
        found = [splits[f"{target}{number}"] for number in range(count)]
        for split, share in zip(SPLITS, (0.6, 0.2, 0.2), strict=True):
            assert found.count(split) >= 1
            assert abs(found.count(split) - share * count) <= 1.5


def test_targets_that_share_groups_are_both_in_each_split():
    groups = {f"g{number}": {"sticker", "crack"} if number < 3 else {"sticker"} for number in range(15)}
    splits = assign_group_splits(groups, seed=1)
    for target in ("sticker", "crack"):
        assert {splits[group] for group, targets in groups.items() if target in targets} == set(SPLITS)


@given(texts=st.lists(st.text(max_size=80)))
def test_slugs_differ_and_make_strand_ids(texts):
    found = slugs(texts)
    assert found.keys() == set(texts)
    assert len(set(found.values())) == len(found)
    assert all(is_strand_id(f"table.file.{name}") for name in found.values())
    assert not any(before == after for before, after in pairwise(sorted(found.values())))
