"""What stands on the soak's page."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with a page and results of its own."""
    spec = importlib.util.spec_from_file_location("soak_page", Path(__file__).with_name("soak_page.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "soak_page", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAGE", tmp_path / "RESULTS.md")
    monkeypatch.setattr(module, "KEPT", tmp_path / "results.json")
    return module


def test_every_scene_stands_by_its_command_and_commit(page: ModuleType) -> None:
    for name, command, commit in (("kills", "make soak SEEDS=9", "aaa"), ("roles", "make soak SEEDS=3", "bbb")):
        page.keep(name, page.Told("2026-11-28", command, commit))
    page.keep("zombie", page.Told("2026-11-28", "make soak SEEDS=9", "aaa"))
    page.keep_mutants({"one": "lost", "other": ""}, "make soak SEEDS=3", "bbb")
    text = page.PAGE.read_text()
    assert "- `make soak SEEDS=9` at aaa: kills, zombie\n- `make soak SEEDS=3` at bbb: roles, mutants\n" in text
    assert "| other | **nothing** |" in text


@pytest.mark.parametrize(("last", "told"), [(2.9, "3 s |"), (3.5, "3 s, **not reached** |")])
@pytest.mark.parametrize("what", ["one that comes and goes every other second has gone", "killed and started again, x"])
def test_what_took_longer_than_it_may_is_told(page: ModuleType, what: str, last: float, told: str) -> None:
    scene = page.Told("2026-11-28")
    scene.take(0, [], [], [(what, last)])
    page.keep("scene", scene)
    assert scene.is_well == (last < 3)
    assert f"| {what} | 1 | {last} s | {last} s | {last} s | {told}" in page.PAGE.read_text()
