"""What keeps the house readable, beside the import contracts that `make check` holds."""

import ast
import subprocess
from pathlib import Path

import pytest

import models
import trainer
import worker

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for package in ("models", "worker", "trainer") for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", [models, trainer, worker], ids=lambda package: package.__name__)
def test_package_is_imported_from_this_repository(package: object) -> None:
    assert Path(getattr(package, "__file__", "")).parent.parent == ROOT


def test_no_source_file_outgrows_its_room() -> None:
    assert SOURCES
    assert {path.name: lines for path in SOURCES if (lines := len(path.read_text().splitlines())) > 350} == {}


def test_top_level_is_as_fixed() -> None:
    assert all(
        (ROOT / name).exists() for name in ("worker", "trainer", "deploy", "models", "tests", "docker-compose.yml")
    )


def test_quantising_opens_no_session_of_its_own() -> None:
    """The import contract lets `trainer.quantize` at ONNX Runtime; it may take the tools, not the runtime."""
    tree = ast.parse((ROOT / "trainer" / "quantize.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    of_the_runtime = {name for name in imported if name.split(".")[0] == "onnxruntime"}
    assert of_the_runtime
    assert all(name.startswith(("onnxruntime.quantization", "onnxruntime.transformers")) for name in of_the_runtime)


def test_importing_the_worker_pulls_in_nothing_of_the_trainer() -> None:
    code = "import sys, worker.cli, worker.app, worker.demo.demo; print(*sys.modules)"
    import sys

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "trainer", "pyarrow", "sklearn", "matplotlib", "pytest"} & set(loaded)


def test_committed_files_stay_small() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in tracked.split("\0") if name and (ROOT / name).is_file()]
    assert files
    assert [str(path) for path in files if path.stat().st_size > 2 << 20] == []
    for bundle in (ROOT / "models" / "sequence").glob("*/manifest.json"):
        assert sum(path.stat().st_size for path in bundle.parent.iterdir()) <= 2 << 20
