"""Where the seconds of one build go: to Packer, to this program around it, and to the parts of the verify.

    . toolchain/env.sh; python -m bench.packer [--stubs]

One image is built by `python -m omi.commands build`, as Pulumi runs it, on a sandbox of this run's own. Packer's time
is that of its process. Goals: the program adds at most 5 s of its own until the OMI is registered, and the verify
takes at most 20 s besides the boot. With `--stubs` no VM runs, so that only the program's own seconds mean anything.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.stacks import LIMIT, ImageProgram, project_on_sandbox

OWN_GOAL, VERIFY_GOAL = 5.0, 20.0
STAGES = ("booting a VM from", "booted in", "pressing the power button", "off in", "verified")
"""Beginnings of the program's lines when the OMI is registered, answers, was probed, is off, and its VM is gone."""
WRAPPER = """\
#!/bin/sh
# Notes when Packer's build begins and ends, in seconds of the epoch.
[ "$1" = build ] || exec {packer} "$@"
date +%s.%N >{times}
{packer} "$@" &
trap 'kill -TERM $!' TERM
wait $!
code=$?
date +%s.%N >>{times}
exit $code
"""


@dataclass(frozen=True)
class Parts:
    """Seconds of one build, in their order."""

    before: float
    """Until Packer begins."""
    packer: float
    read_back: float
    """From Packer's end until the OMI is registered, read back and ready to be verified."""
    boot: float
    probes: float
    power_off: float
    end: float
    """Until the VM is terminated."""
    rest: float
    """Until the command ends: tags, clean-up, documents."""

    @property
    def own(self) -> float:
        """The program's own seconds until the OMI is registered."""
        return self.before + self.read_back

    @property
    def verify(self) -> float:
        """The verify's besides the boot."""
        return self.probes + self.power_off + self.end

    @property
    def total(self) -> float:
        """All of them."""
        return self.own + self.packer + self.boot + self.verify + self.rest


def measure(program: ImageProgram) -> Parts:
    """Build one image; SystemExit says why there is none."""
    (command,) = program.plan_new("packer", builds=1)
    times = program.folder / "packer.times"
    environment = {**program.environment, "PATH": f"{_wrapped(program, times)}:{program.environment['PATH']}"}
    begun, said = time.time(), list[tuple[float, str]]()
    with subprocess.Popen(
        ["timeout", "--foreground", str(LIMIT), "python3", "-m", "omi.commands", "build"],
        cwd=program.folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(command.words["stdin"])
        process.stdin.close()
        said += ((time.time(), line) for line in process.stderr)
    if process.returncode:
        raise SystemExit(f"the build failed, or took more than {LIMIT} s:\n{''.join(line for _, line in said)}")
    started, ended = (float(line) for line in times.read_text(encoding="ascii").split())
    marks = [begun, started, ended, *(_when(stage, said) for stage in STAGES), time.time()]
    return Parts(*(after - before for before, after in pairwise(marks)))


def _wrapped(program: ImageProgram, times: Path) -> Path:
    """A folder with a Packer that notes when its build begins and ends."""
    packer = shutil.which("packer", path=program.environment["PATH"])
    if packer is None:
        raise SystemExit("packer is not on PATH; run `. toolchain/env.sh` first")
    folder = program.folder / "wrapped"
    folder.mkdir()
    (folder / "packer").write_text(WRAPPER.format(packer=packer, times=times), encoding="utf-8")
    (folder / "packer").chmod(0o755)
    return folder


def _when(stage: str, said: list[tuple[float, str]]) -> float:
    """The time of the program's first line that begins so."""
    found = next((at for at, line in said if line.partition(" s  ")[2].startswith(stage)), None)
    if found is None:
        raise SystemExit(f"the build did not say {stage!r}:\n{''.join(line for _, line in said)}")
    return found


def report(parts: Parts) -> str:
    """The parts beside the goals."""
    return (
        f"one build: {parts.total:.1f} s\n"
        f"until registered: Packer {parts.packer:.1f} s, the program's own {parts.own:.1f} s "
        f"(goal {OWN_GOAL:.0f}; {parts.before:.1f} before, {parts.read_back:.1f} after), "
        f"ratio {(parts.own + parts.packer) / parts.packer:.2f}\n"
        f"verify: boot {parts.boot:.1f} s, besides {parts.verify:.1f} s "
        f"(goal {VERIFY_GOAL:.0f}; probes {parts.probes:.1f}, power-off {parts.power_off:.1f}, "
        f"the VM's end {parts.end:.1f}), "
        f"ratio {(parts.boot + parts.verify) / parts.boot:.2f}\n"
        f"after it: {parts.rest:.1f} s"
    )


def main() -> None:
    """Run it and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stubs", action="store_true", help="run no VM: the program's own part alone")
    stubs = bool(parser.parse_args().stubs)
    with (
        tempfile.TemporaryDirectory(prefix="omi-bench-") as place,
        project_on_sandbox(Path(place), stubs=stubs) as project,
    ):
        print(report(measure(ImageProgram(project))))


if __name__ == "__main__":
    main()
