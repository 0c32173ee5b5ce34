"""Splits by casting sequence: neighbouring windows share rows, so a split by window would leak."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

import numpy as np

from models.errors import ContractError
from trainer.datasets.records import SPLITS, SequenceInfo, Split

SHARES: dict[Split, float] = {"train": 0.6, "validation": 0.2, "test": 0.2}


def assign_splits(positives: Mapping[str, int], seed: int) -> dict[str, Split]:
    """Give each sequence to one split: about 60/20/20 of the sequences and of the positive ones.

    Sequences with and without positives are shuffled by the seed and dealt separately, so that each split
    has positives as soon as there are three sequences with some. The order of `positives` does not matter.

    Args:
        positives: sequence id → number of its events that are a positive of any target.
        seed: the shuffle's seed.

    Returns:
        sequence id → split.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0x5911,)))
    with_events = sorted(key for key, count in positives.items() if count > 0)
    without = sorted(key for key, count in positives.items() if count == 0)
    assigned: dict[str, Split] = {}
    for group in (with_events, without):
        shuffled = [group[index] for index in rng.permutation(len(group))]
        assigned.update(zip(shuffled, _deal(len(shuffled)), strict=True))
    return assigned


def assign_group_splits(positives: Mapping[str, Collection[str]], seed: int) -> dict[str, Split]:
    """Give each group to one split: about 60/20/20 of the groups and of those positive for each of several targets.

    Iterative stratification (Sechidis et al. 2011), the rarest target first: each split has positives of a target as
    soon as three groups have some, as far as targets that share their groups allow it. The order of `positives` does
    not matter.

    Args:
        positives: group → targets of which it has a positive.
        seed: the shuffle's seed.

    Returns:
        group → split.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0x5912,)))
    ordered = sorted(positives)
    shuffled = [ordered[index] for index in rng.permutation(len(ordered))]
    counts = Counter(target for targets in positives.values() for target in set(targets))
    assigned: dict[str, Split] = {}
    for target in [*sorted(counts, key=lambda target: (counts[target], target)), None]:
        members = [group for group in shuffled if (target in positives[group] if target else not positives[group])]
        wanted = Counter(_deal(len(members)))
        have = Counter(assigned[group] for group in members if group in assigned)
        for group in members:
            if group not in assigned:
                assigned[group] = max(SPLITS, key=lambda split: (wanted[split] - have[split]) / max(wanted[split], 1))
                have[assigned[group]] += 1
    return assigned


def _deal(count: int) -> list[Split]:
    """`count` splits in the shares, train first; from three on, each split gets one at least."""
    validation = max(round(count * SHARES["validation"]), 1 if count > 2 else 0)
    test = max(round(count * SHARES["test"]), 1 if count > 2 else 0)
    counts: dict[Split, int] = {"train": count - validation - test, "validation": validation, "test": test}
    return [split for split in SPLITS for _ in range(counts[split])]


def check_no_leak(sequences: Iterable[SequenceInfo], window_ms: int = 0) -> None:
    """Refuse a split in which two splits could see the same scans.

    Args:
        sequences: the dataset's sequences with their splits.
        window_ms: smallest pause wanted between sequences of one strand that lie in different splits.

    Raises:
        ContractError: the same content twice, sequences of a strand that overlap, or a pause too short across a
            split; names both sequences.
    """
    by_strand: dict[str, list[SequenceInfo]] = {}
    seen: dict[str, str] = {}
    for info in sequences:
        if info.sha256 in seen:
            raise ContractError(
                f"expected each sequence once, got the same content at {seen[info.sha256]} and {info.sequence_id}: "
                "keep one of them"
            )
        seen[info.sha256] = info.sequence_id
        by_strand.setdefault(info.strand_id, []).append(info)
    for strand, infos in by_strand.items():
        for before, after in pairwise(sorted(infos, key=lambda info: info.start_ms)):
            pause_ms = after.start_ms - before.end_ms
            if pause_ms <= 0 or (before.split != after.split and pause_ms < window_ms):
                raise ContractError(
                    f"expected a pause of at least {max(window_ms, 1)} ms, got {pause_ms} ms between "
                    f"{before.sequence_id} ({before.split}) and {after.sequence_id} ({after.split}) "
                    f"of strand {strand}: keep both in one split"
                )
