"""What a command's result looks like on a terminal and elsewhere."""

import os
import subprocess
import sys

SENTENCES = ["word " * 30 + "end", "| a | table | that fits |"]
TELL = f"from trainer.commands.console import tell; tell({{'a': 1}}, {SENTENCES!r}, as_json=False)"


def test_long_sentences_are_wrapped_between_words_on_a_terminal() -> None:
    ours, its = os.openpty()
    with subprocess.Popen([sys.executable, "-c", TELL], stdout=its, env={**os.environ, "COLUMNS": "80"}) as command:
        os.close(its)
        said = b""
        while chunk := _read(ours):
            said += chunk
    os.close(ours)
    assert command.returncode == 0
    lines = said.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(part for line in lines[:-1] for part in line.split()) == SENTENCES[0]
    assert lines[-1] == SENTENCES[1]


def test_elsewhere_a_sentence_is_a_line() -> None:
    said = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == SENTENCES


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # what Linux says at the end
        return b""
