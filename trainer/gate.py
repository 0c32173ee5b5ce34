"""May a retrained bundle take the current one's place? One rule, a target at a time, on the same held-out sequences.

The new one passes where, for each target,

- ROC-AUC by window is at most `max_auc_loss` (0.005) below the current one's,
- it catches at least as many events, with the lead the target asks for, less `max_fewer_caught` (0), and at least one,
- its false alerts a strand-day are no more than the current one's, or than the target's budget if that is more,

and where the held-out sequences can tell: at least `min_events` (5) events of the target that both saw, and windows of
both classes. If they cannot, it does not pass: without evidence nothing changes.

What the rule does not show. Both sides are counts of one and the same few sequences. If a new model that is as good as
the old differs from it on k events, it loses on more of them than it wins about half of the time: the rule errs on the
side of the old one. The other way round it is blind to small losses: who caught all of n events catches, at 95 %, at
least 0.05^(1/n) of such events, 55 % for 5 and 90 % for 28. The intervals of the false alerts are shown to that end,
they are no part of the rule. Who passes at several attempts with different seeds has been chosen on the held-out
sequences, and needs new ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.evaluation.evaluate import TargetScores


@dataclass(frozen=True, slots=True)
class Gate:
    """How much worse a new bundle may be, and how much evidence that takes.

    Attributes:
        max_auc_loss: largest loss of ROC-AUC by window.
        max_fewer_caught: how many events fewer may be caught.
        min_events: fewest held-out events of a target that can tell.
    """

    max_auc_loss: float = 0.005
    max_fewer_caught: int = 0
    min_events: int = 5


@dataclass(frozen=True, slots=True)
class Side:
    """What one bundle scored for one target.

    Attributes:
        roc_auc: by window; None where a class is missing.
        events: during which predictions were due.
        caught: of those, with the lead wanted.
        false_per_strand_day: false alerts; None if no time was watched.
        false_interval: its exact 95 % Poisson interval.
    """

    roc_auc: float | None
    events: int
    caught: int
    false_per_strand_day: float | None
    false_interval: tuple[float, float] | None = None

    @classmethod
    def of(cls, scores: "TargetScores", lead_s: float) -> "Side":
        """Of an evaluation's scores, with the lead wanted in seconds."""
        events = scores.events
        return cls(
            scores.roc_auc,
            len(events.outcomes),
            events.count_with_lead(lead_s),
            events.false_per_strand_day,
            events.false_interval,
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison.

    Attributes:
        what: is compared.
        current: the current bundle's value, None if there is none.
        new: the new bundle's.
        bound: what the new one is held to.
        at_least: whether more is better.
        passed: whether the new one keeps it.
    """

    what: str
    current: float | None
    new: float | None
    bound: float | None
    at_least: bool
    passed: bool

    def told(self) -> str:
        """The new one's value and what was wanted."""
        wanted = f"{'at least' if self.at_least else 'at most'} {_shown(self.bound, '.4g')}"
        return f"{self.what} {_shown(self.new, '.4g')}, {wanted} wanted"


@dataclass(frozen=True, slots=True)
class TargetVerdict:
    """The rule's answer for one target.

    Attributes:
        target: its name.
        lead_s: the lead wanted, seconds.
        current: what the current bundle scored.
        new: what the new one did.
        evidence: why the held-out sequences cannot tell; empty if they can.
        findings: the comparisons, whatever the evidence.
    """

    target: str
    lead_s: float
    current: Side
    new: Side
    evidence: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether the new one is not worse, as far as can be told, and it can."""
        return not self.evidence and all(finding.passed for finding in self.findings)

    @property
    def reasons(self) -> list[str]:
        """Why it did not pass, one clause each."""
        if self.evidence:
            return [f"{self.target}: {self.evidence}"]
        return [f"{self.target}: {finding.told()}" for finding in self.findings if not finding.passed]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "passed": self.passed,
            "reasons": self.reasons,
            "lead_wanted_s": self.lead_s,
            "events": {"current": self.current.events, "new": self.new.events},
            "false_per_strand_day_95": {
                name: None if side.false_interval is None else [round(bound, 3) for bound in side.false_interval]
                for name, side in (("current", self.current), ("new", self.new))
            },
            **{
                finding.what: {
                    "current": _rounded(finding.current),
                    "new": _rounded(finding.new),
                    "bound": _rounded(finding.bound),
                    "passed": finding.passed,
                }
                for finding in self.findings
            },
        }


ROC_AUC, CAUGHT, FALSE = "roc_auc", "caught_with_lead", "false_per_strand_day"


def compare(target: str, current: Side, new: Side, gate: Gate, *, lead_s: float, budget: float) -> TargetVerdict:
    """Hold one target's new scores to the current ones.

    Args:
        target: its name.
        current: what the current bundle scored.
        new: what the new one scored, on the same sequences.
        gate: the rule's figures.
        lead_s: the lead wanted, seconds, for the record.
        budget: false alerts a strand-day that are allowed anyhow.
    """
    auc_bound = None if current.roc_auc is None else current.roc_auc - gate.max_auc_loss
    caught_bound = max(1, current.caught - gate.max_fewer_caught)
    false_bound = max(current.false_per_strand_day or 0.0, budget)
    findings = (
        _finding(ROC_AUC, current.roc_auc, new.roc_auc, auc_bound, at_least=True),
        _finding(CAUGHT, current.caught, new.caught, caught_bound, at_least=True),
        _finding(FALSE, current.false_per_strand_day, new.false_per_strand_day, false_bound, at_least=False),
    )
    return TargetVerdict(target, lead_s, current, new, _lack(current, new, gate), findings)


def _finding(what: str, current: float | None, new: float | None, bound: float | None, *, at_least: bool) -> Finding:
    passed = new is not None and bound is not None and (new >= bound if at_least else new <= bound)
    return Finding(what, current, new, bound, at_least, passed)


def _lack(current: Side, new: Side, gate: Gate) -> str:
    """What the held-out sequences lack to tell; empty if nothing."""
    seen = min(current.events, new.events)
    if seen < gate.min_events:
        return f"{seen} held-out events, at least {gate.min_events} needed to judge by"
    if current.roc_auc is None or new.roc_auc is None:
        return "held-out windows of one class only"
    return ""


def table(verdicts: Mapping[str, TargetVerdict]) -> list[str]:
    """Both sides next to each other, in lines of at most 80 characters."""
    lines = [f"{'':<28}{'current':>12}{'new':>12}{'wanted':>14}"]
    for target, verdict in verdicts.items():
        lines.append(f"{target[:60]}: {'not worse' if verdict.passed else 'not passed'}")
        auc, caught, false = verdict.findings
        lead = f" {verdict.lead_s:g} s ahead" if verdict.lead_s else ""
        rows = (
            ("ROC-AUC by window", auc, ".4f", None),
            (f"events caught{lead}", caught, ".0f", "events"),
            ("false alerts, strand-day", false, ".2f", None),
        )
        for label, finding, form, of in rows:
            sides = [
                _shown(value, form) + (f" of {side.events}" if of else "")
                for value, side in ((finding.current, verdict.current), (finding.new, verdict.new))
            ]
            sign = ">=" if finding.at_least else "<="
            mark = "" if finding.passed else "  worse"
            lines.append(
                f"  {label:<26}{sides[0]:>12}{sides[1]:>12}{sign:>5} {_shown(finding.bound, form):<8}{mark}".rstrip()
            )
        ranges = [_interval(side) for side in (verdict.current, verdict.new)]
        lines.append(f"  {'  95 % interval':<26}{ranges[0]:>12}{ranges[1]:>12}")
    return lines


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _interval(side: Side) -> str:
    return "-" if side.false_interval is None else f"{side.false_interval[0]:.1f}-{side.false_interval[1]:.1f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
