"""The gate between a retrained bundle and `current`: a pure rule, and the table that shows it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.gate import Gate, Side, TargetVerdict, compare, table

DEFAULT = Gate()
GOOD = Side(roc_auc=0.97, events=8, caught=7, false_per_strand_day=2.0, false_interval=(0.5, 5.1))

sides = st.builds(
    Side,
    roc_auc=st.none() | st.floats(0, 1),
    events=st.just(8),
    caught=st.integers(0, 8),
    false_per_strand_day=st.none() | st.floats(0, 50),
)
gates = st.builds(
    Gate, max_auc_loss=st.floats(0, 0.1), max_fewer_caught=st.integers(0, 3), min_events=st.integers(1, 10)
)


def held(new: Side, current: Side = GOOD, gate: Gate = DEFAULT, budget: float = 1.0) -> TargetVerdict:
    return compare("sticker", current, new, gate, lead_s=15.0, budget=budget)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"roc_auc": 0.9651}, None),
        ({"roc_auc": 0.9649}, "sticker: roc_auc 0.9649, at least 0.965 wanted"),
        ({"caught": 6}, "sticker: caught_with_lead 6, at least 7 wanted"),
        ({"false_per_strand_day": 2.1}, "sticker: false_per_strand_day 2.1, at most 2 wanted"),
        ({"events": 4}, "sticker: 4 held-out events, at least 5 needed to judge by"),
        ({"roc_auc": None}, "sticker: held-out windows of one class only"),
    ],
)
def test_a_new_bundle_passes_only_where_it_is_not_worse(change: dict[str, object], reason: str | None):
    verdict = held(replace(GOOD, **change))
    assert verdict.passed is (reason is None)
    assert verdict.reasons == ([] if reason is None else [reason])


def test_false_alerts_within_the_budget_are_never_too_many():
    silent = replace(GOOD, false_per_strand_day=0.0)
    assert held(replace(GOOD, false_per_strand_day=4.0), silent, budget=4.0).passed
    assert not held(replace(GOOD, false_per_strand_day=4.1), silent, budget=4.0).passed


@given(sides, sides, gates, st.floats(0, 10))
def test_to_do_better_or_to_be_held_to_less_never_turns_a_pass_into_a_fail(
    current: Side, new: Side, gate: Gate, budget: float
):
    if not held(new, current, gate, budget).passed:
        return
    assert new.roc_auc is not None
    assert new.false_per_strand_day is not None
    better = replace(
        new,
        roc_auc=(1 + new.roc_auc) / 2,
        caught=min(new.caught + 1, new.events),
        false_per_strand_day=new.false_per_strand_day / 2,
    )
    looser = Gate(gate.max_auc_loss + 0.01, gate.max_fewer_caught + 1, max(1, gate.min_events - 1))
    assert held(better, current, gate, budget).passed
    assert held(new, current, looser, budget + 1).passed


@given(sides, gates)
def test_a_bundle_is_never_worse_than_itself_unless_it_catches_nothing(side: Side, gate: Gate):
    verdict = held(side, side, gate)
    can_tell = side.events >= gate.min_events and side.roc_auc is not None and side.false_per_strand_day is not None
    assert verdict.passed is (can_tell and side.caught > 0)


@given(sides, sides)
def test_the_table_fits_a_terminal_and_marks_what_is_worse(current: Side, new: Side):
    verdict = held(new, current)
    lines = table({"sticker": verdict})
    assert max(map(len, lines)) <= 80
    assert sum(line.endswith("  worse") for line in lines) == sum(not finding.passed for finding in verdict.findings)


def test_the_table_shows_both_sides_what_is_wanted_and_the_intervals():
    text = "\n".join(table({"sticker": held(replace(GOOD, caught=6))}))
    assert "ROC-AUC by window               0.9700      0.9700   >= 0.9650" in text
    assert "events caught 15 s ahead        7 of 8      6 of 8   >= 7" in text
    assert "95 % interval                0.5-5.1     0.5-5.1" in text
