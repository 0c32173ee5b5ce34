"""A training that is killed again and again, for the tests of what is left: `python killed_training.py SPEC`.

SPEC is JSON: `data` and `config` of the training, and `rounds`, each `{"folder", "ends", "after", "result"}`. A round
is a real process of its own, forked from this one before torch has started a thread, that trains with checkpoints in
the folder and goes on from those there. It ends by

- `kill`: SIGKILL from here, as soon as it has told of so many steps;
- `rename`: SIGKILL while a checkpoint is written, all of it on the disk but not yet under its name;
- `part`: the kernel ends it in the middle of writing a checkpoint (SIGXFSZ);
- `full`: the disk takes no more in the middle of writing a checkpoint (the same limit, seen as an OSError);
- `whole`: being done; then history and weights go to `result`.

Prints, as JSON, for each round how it ended: a signal's name, or what it said.
"""

import json
import os
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from trainer.config import from_dict
from trainer.errors import TrainingError
from trainer.train_sequence import train_on_dataset

SMALLER_THAN_A_CHECKPOINT = 4096


def main() -> None:
    spec = json.loads(sys.argv[1])
    torch.optim.AdamW([torch.zeros(1)])  # the first optimiser imports much of torch: once here, not in every round
    print(json.dumps([_round(spec, one) for one in spec["rounds"]]))


def _round(spec: dict[str, Any], one: dict[str, Any]) -> str:
    steps, told = os.pipe()
    child = os.fork()
    if child == 0:
        said = b""
        try:
            _train(spec, one, told)
            said = b"done"
        except TrainingError as error:
            said = str(error).encode()
        finally:
            os.write(told, b"\n" + said)
            os._exit(0)
    os.close(told)
    with os.fdopen(steps, "rb") as pipe:
        if one["ends"] == "kill":
            pipe.read(one["after"])
            os.kill(child, signal.SIGKILL)
        said = pipe.read().rpartition(b"\n")[2].decode()
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else said


def _train(spec: dict[str, Any], one: dict[str, Any], told: int) -> None:
    if one["ends"] == "rename":
        sys.addaudithook(_die_at_rename)
    if one["ends"] in {"part", "full"}:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALLER_THAN_A_CHECKPOINT, SMALLER_THAN_A_CHECKPOINT))
    if one["ends"] == "part":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python has it ignored, so that a write fails instead
    run = train_on_dataset(
        spec["data"],
        from_dict(spec["config"]),
        on_step=lambda _: os.write(told, b"."),
        checkpoints=Path(one["folder"]),
        resume=True,
    )
    history = [asdict(record) | {"seconds": 0, "windows_per_second": 0} for record in run.history]
    metadata = {"history": json.dumps(history)}
    save_file(run.model.state_dict(), one["result"], metadata)


def _die_at_rename(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "os.rename" and str(arguments[0]).endswith(".part"):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
