"""What an interruption is: in which phase, in which way, at which moment; all drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.reliability.processes import Process

Phase = Literal[
    "build",
    "verify",
    "prune",
    "build and prune",
    "copy",
    "destroy",
    "refresh",
    "preview",
    "sweep",
    "releases",
    "import",
]
"""Of an update, but for the last six, which are commands of their own."""
Family = Literal["updates", "copies", "others", "imports"]


def _runs(*words: str) -> Callable[[Process], bool]:
    return lambda process: all(any(word in argument for argument in process.arguments[:6]) for word in words)


def _omi(*verbs: str) -> Callable[[Process], bool]:
    return lambda process: any(
        process.arguments[1:4] in (("-m", "omi", verb), ("-m", "omi.commands", verb)) for verb in verbs
    )


WRITING = "Pulumi's writing of the config"
TARGETS: dict[str, Callable[[Process], bool]] = {
    "the program": _runs("pulumi-language-python-exec"),
    "the language host": lambda process: process.program == "pulumi-language-python",
    "the command plugin": _runs("resource-command-v"),
    "the front": _omi("build"),
    "the supervisor": _omi("supervise"),
    "the delete": _omi("delete"),
    "Packer": lambda process: process.program == "packer" and "build" in process.arguments,
    "Packer's plugin": lambda process: process.program.startswith("packer-plugin-outscale"),
    WRITING: lambda process: process.program == "pulumi" and "set-all" in process.arguments,
}
"""What is killed by SIGKILL, besides the CLI itself."""
SIGNALS = ("SIGINT", "SIGINT twice", "SIGTERM", "SIGHUP", "kill -9 of the CLI", "power loss", "power loss, cloud too")
WAYS: dict[Phase, tuple[str, ...]] = {
    "build": (*SIGNALS, *(name for name in TARGETS if name not in ("the delete", WRITING))),
    "verify": (*SIGNALS, "the command plugin", "the front", "the supervisor"),
    "prune": (*SIGNALS, "the program", "the command plugin", "the delete"),
    "build and prune": (*SIGNALS, "the command plugin"),
    "copy": (*SIGNALS, "the program", "the language host", "the command plugin", "the front", "the supervisor"),
    "destroy": (*SIGNALS, "the command plugin", "the delete"),
    "refresh": SIGNALS,
    "preview": SIGNALS,
    "sweep": tuple(way for way in SIGNALS if way != "SIGINT twice"),
    "releases": tuple(way for way in SIGNALS if way != "SIGINT twice"),
    "import": (*(way for way in SIGNALS if way != "SIGINT twice"), WRITING),
}
WEIGHTS: dict[Family, dict[Phase, int]] = {
    "updates": {"build": 40, "verify": 25, "prune": 20, "build and prune": 15},
    "copies": {"copy": 1},
    "others": {"destroy": 30, "sweep": 30, "preview": 15, "refresh": 15, "releases": 10},
    "imports": {"import": 1},
}


@dataclass(frozen=True)
class Draw:
    """What one run does; drawn from seed and number alone."""

    number: int
    phase: Phase
    way: str
    at: float
    """Where in the phase's calls, 0 to 1."""
    later: float
    """Seconds after that call."""
    between: float
    """Seconds between the first and the second signal, where there are two."""
    impatient: bool
    """Whether the next command comes at once, while the interrupted run's processes may still be ending."""

    @classmethod
    def of(cls, seed: int, number: int, family: Family = "updates") -> Draw:
        """The numbered draw of a seed."""
        drawn = random.Random(f"{seed}/{number}")  # noqa: S311 - to be repeated, not to be secret
        phase = drawn.choices(tuple(WEIGHTS[family]), tuple(WEIGHTS[family].values()))[0]
        at = drawn.random()
        return cls(
            number, phase, drawn.choice(WAYS[phase]), at,
            later=3 * drawn.random() if at < 0.1 else 0.8 * drawn.random() ** 3,  # calls come in bursts
            between=drawn.uniform(0.05, 3), impatient=drawn.random() < 1 / 3,
        )  # fmt: skip
