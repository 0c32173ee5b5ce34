"""The table of results in README.md, written from `metrics.json` and from nothing else.

    python -m trainer.evaluation.comparison.results_table models/sequence/evaluation/line-v1/metrics.json README.md

It stands between two comment lines; what is between them is replaced.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from models.errors import StrandwatchError, UsageError, mismatch
from models.whole_file import write_whole
from trainer.evaluation.comparison.compare import ENGINEERED, SUMMARY
from trainer.evaluation.comparison.page import Metrics, Rows, difference, markdown_table, number, percent, rate, seconds

BEGIN = "<!-- results, written by `make results-table` -->"
END = "<!-- end of results -->"

_SCORES = {
    "roc_auc": "ROC-AUC of windows",
    "pr_auc": "PR-AUC of windows",
    "ece_calibrated": "calibration error, calibrated",
}


def results_rows(metrics: Metrics) -> Rows:
    """The chosen sequence model beside both baselines: windows, then alerts by target; the first row is the header.

    Args:
        metrics: what `trainer compare` writes.
    """
    chosen = metrics["chosen"]["recipe"]
    names = [name for name in (SUMMARY, ENGINEERED, chosen) if name in metrics["seeds"]]
    columns = {SUMMARY: "baseline", ENGINEERED: "engineered", chosen: "sequence"}
    rows: Rows = [("mean over seeds", *(_named(name) for name in names), f"{chosen} - {SUMMARY} (95 %)")]
    for score, what in _SCORES.items():
        one = metrics["comparison"][score]
        values = (number(one[columns[name]]) for name in names)
        rows.append((what, *values, difference(one["improvement"], one["interval"])))
    for target, events in metrics["events"].items():
        mine = [events[name] for name in names]
        wanted = mine[0]["lead_wanted_s"]
        caught = f"{target}: of {mine[0]['events']} events caught" + (f" {wanted:g} s ahead or more" if wanted else "")
        rows += [
            (caught, *(percent(one["recall_with_lead"]) for one in mine), ""),
            (f"{target}: lead, median", *(seconds(one["lead_median_s"]) for one in mine), ""),
            (f"{target}: false a strand-day", *(rate(one["false"]) for one in mine), ""),
        ]
    return rows


def _named(name: str) -> str:
    return f"LightGBM, {name}" if name in {SUMMARY, ENGINEERED} else name


def results_text(metrics: Metrics) -> str:
    """What stands between the comment lines: the table, and a sentence on where it is from."""
    data, method = metrics["data"], metrics["method"]
    test = data["splits"]["test"]
    about = (
        f"`{data['line']}`, seed {data['seed']}, fingerprint `{data['fingerprint'][:12]}`: {test['sequences']} casting "
        f"sequences, {test['strand_days']:.2f} strand-days; {method['seeds']} seeds each. {metrics['caveat']}"
    )
    return "\n".join([*markdown_table(results_rows(metrics)), "", about])


def with_results(readme: str, metrics: Metrics) -> str:
    """The README with the table of these metrics.

    Raises:
        UsageError: its two comment lines are not there, once each and in order.
    """
    before, begin, rest = readme.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise UsageError(mismatch(f"one line `{BEGIN}` and below it one `{END}`", "others", "README.md"))
    return f"{before}{BEGIN}\n\n{results_text(metrics)}\n\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Write the table into a README; returns the exit code."""
    if len(arguments) != 2:
        print("usage: python -m trainer.evaluation.comparison.results_table METRICS README", file=sys.stderr)
        return UsageError.exit_code
    metrics, readme = map(Path, arguments)
    try:
        written = with_results(readme.read_text(encoding="utf-8"), json.loads(metrics.read_bytes()))
    except StrandwatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    write_whole(readme, written.encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
