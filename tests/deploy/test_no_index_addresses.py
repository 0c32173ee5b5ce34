"""Nothing in the repository names a package index: where packages come from is the machine's business."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Written so that this file does not match itself.
ADDRESS = re.compile(rb"https?://[^\s\"'<>]*(py[p]i|python[h]osted|/sim[p]le\b|devp[i]|artif[a]ctory)", re.IGNORECASE)
LOCK_OPTION = re.compile(rb"^\s*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b", re.MULTILINE)


def tracked_files() -> list[Path]:
    """Files that git has or would take in."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(
    "text",
    [
        b"https://py" + b"pi.org/sim" + b"ple",
        b"http://user:word@mirror.example/artif" + b"actory/x",
        b"url = 'https://files.python" + b"hosted.org/packages/a.whl'",
    ],
)
def test_an_address_would_be_found(text: bytes) -> None:
    assert ADDRESS.search(text)


def test_no_file_names_an_index() -> None:
    files = tracked_files()
    assert len(files) > 50
    assert [str(file.relative_to(ROOT)) for file in files if ADDRESS.search(file.read_bytes())] == []


def test_every_lock_is_hashed_and_names_no_index() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert {lock.name for lock in locks} >= {"dev.txt", "uv.txt", "worker.txt"}
    for lock in locks:
        text = lock.read_bytes()
        assert not LOCK_OPTION.search(text), lock.name
        pins = re.findall(rb"^[A-Za-z0-9][^\n]*", text, re.MULTILINE)
        assert pins, lock.name
        for pin in pins:
            assert b"==" in pin, (lock.name, pin)
            assert pin.endswith(b"\\"), f"{lock.name}: {pin!r} has no hash"
