"""The table of results in README.md: written from metrics.json, and held to it."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.told_comparison import compared
from support.told_plant import write_told_plant

from models.bundle import RELEASED
from trainer.evaluation.comparison.results_table import BEGIN, END, main, results_rows, with_results
from trainer.evaluation.comparison.run import write_comparison

README = Path(__file__).parents[3] / "README.md"
METRICS = RELEASED / "evaluation" / "line-v1" / "metrics.json"


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("told")
    return compared(write_told_plant(folder / "plant"), folder / "traces")


def test_rows_are_numbers_of_the_metrics(metrics: dict[str, Any]) -> None:
    head, *rows = results_rows(metrics)
    assert head == (
        "mean over seeds", "LightGBM, summary", "LightGBM, engineered", "long", "long - summary (95 %)"
    )  # fmt: skip
    one = metrics["comparison"]["roc_auc"]
    low, high = one["interval"]
    assert rows[0] == (
        "ROC-AUC of windows",
        *(f"{one[key]:.4f}" for key in ("baseline", "engineered", "sequence")),
        f"{one['improvement']:+.4f} [{low:+.4f}, {high:+.4f}]",
    )
    leak = metrics["events"]["leak"]["long"]
    found = {row[0]: row[3] for row in rows}
    assert found["leak: of 6 events caught 10 s ahead or more"] == f"{leak['recall_with_lead']:.1%}"
    assert found["leak: false a strand-day"].startswith(f"{leak['false']['per_strand_day']:.2f} [")
    assert found["fire: of 0 events caught"] == "-"


def test_command_replaces_what_stands_between_the_lines_and_nothing_else(
    metrics: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_comparison(metrics, tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text(f"# House\n\n{BEGIN}\nold\n{END}\n\nAfter.\n", encoding="utf-8")
    for _ in range(2):  # a second time changes nothing
        assert main([str(tmp_path / "metrics.json"), str(readme)]) == 0
        text = readme.read_text(encoding="utf-8")
        assert text == with_results(text, metrics)
        assert text.startswith(f"# House\n\n{BEGIN}\n\n| mean over seeds |")
        assert text.endswith(f"{metrics['caveat']}\n\n{END}\n\nAfter.\n")
        assert "old" not in text
    for text in ("no lines\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"):
        readme.write_text(text, encoding="utf-8")
        assert main([str(tmp_path / "metrics.json"), str(readme)]) == 2
        assert capsys.readouterr().err.startswith("error: expected one line `<!-- results")
        assert readme.read_text(encoding="utf-8") == text
    assert main([]) == 2


def test_readme_holds_the_table_of_the_committed_metrics_or_none() -> None:
    text = README.read_text(encoding="utf-8")
    if METRICS.is_file():
        assert text == with_results(text, json.loads(METRICS.read_bytes())), "run `make results-table`"
    else:
        assert f"{BEGIN}\n{END}\n" in text
