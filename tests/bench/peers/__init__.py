"""Other ways to do the worker's job, each in an environment of its own under `.venv-peers`, made when first asked for.

python = peer.prepare()
scans_a_second = peer.rate(python, [bootstrap, topic, output, bundle], strands=64, stride=20)
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
_ENVIRONMENTS = HERE.parents[2] / ".venv-peers"
_UV = Path(sys.executable).with_name("uv")
_SHARED = ("onnxruntime-gpu", "numpy")
"""Of the versions that the worker has."""


class PeerError(Exception):
    """A peer cannot be measured."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them.

    Attributes:
        requirement: what is installed.
        program: file beside this one.
        arguments: of the program, before those of all.
        is_durable: whether its windows survive it.
        scans: to measure, after the windows are full; it has a few seconds, with durable windows for more than one of
            the commits that make them so, which by default come every five seconds.
    """

    requirement: str
    program: str
    arguments: tuple[str, ...] = ()
    is_durable: bool = False
    scans: int = 50_000

    def prepare(self) -> Path:
        """Its interpreter.

        Raises:
            PeerError: it cannot be installed.
        """
        folder = _ENVIRONMENTS / self.program.removesuffix(".py")
        python = folder / "bin" / "python"
        shared = [f"{name}=={version(name)}" for name in _SHARED]
        _checked([str(_UV), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)])
        _checked([str(_UV), "pip", "install", "--quiet", "--python", str(python), self.requirement, *shared])
        return python

    def rate(self, python: Path, arguments: Sequence[object], strands: int, stride: int) -> float:
        """Scans a second, while every window is full.

        Args:
            python: of `prepare`.
            arguments: bootstrap, topic, topic of outputs, folder of the bundle.
            strands: of the topic.
            stride: scans between two predictions.

        Raises:
            PeerError: it failed, or answered other windows than it was asked to.
        """
        told = _checked(
            [
                str(python),
                str(HERE / self.program),
                *self.arguments,
                *map(str, arguments),
                str(strands),
                str(self.scans),
            ]
        )
        found = json.loads(told)
        wanted = found["per_s"] / stride
        if abs(found["answers_per_s"] - wanted) > 0.05 * wanted + 1:
            raise PeerError(f"expected {wanted:.0f} windows answered a second, got {found['answers_per_s']:.0f}")
        return float(found["per_s"])


def _checked(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except subprocess.CalledProcessError as error:
        why = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise PeerError(why) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(str(error)) from None
    return done.stdout


SCRIPT = Peer(f"confluent-kafka=={version('confluent-kafka')}", "script_peer.py")
"""What everybody writes first."""

PEERS = {
    "Quix Streams, windows in a dict": Peer("quixstreams==3.28.1", "quix_peer.py", ("dict",)),
    "Quix Streams, durable windows": Peer(
        "quixstreams==3.28.1", "quix_peer.py", ("state",), is_durable=True, scans=50_000
    ),
    "Bytewax, in batches": Peer("bytewax[kafka]==0.21.1", "bytewax_peer.py"),
}
