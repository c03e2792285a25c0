"""Small texts that would grow, or take for ever: read in a process with a limit of memory, each with one of time."""

from __future__ import annotations

import gzip
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.hostile.targets import TOP

MEMORY, SECONDS = 1024**3, 20
_YAML = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 60))


def _secdb(*sources: Mapping[str, object]) -> dict[str, object]:
    packages = [{"pkg": {"name": name, "secfixes": fixes}} for each in sources for name, fixes in each.items()]
    return {"distroversion": "v3.23", "reponame": "main", "packages": packages}


def bombs() -> dict[str, list[bytes]]:
    """By what reads them; made when they are needed, since the large ones take seconds."""
    return {
        "profile": [_YAML.encode(), b"[" * 200_000, b"- " * 100_000, b"a: 1\n" * 40_000],
        "stack config": [_YAML.encode(), b"[" * 200_000, b"x" * 900_000],
        "old releases": [_YAML.encode(), b"[" * 200_000],
        "releases file": [_YAML.encode(), b"? " * 100_000],
        "latest-releases.yaml": [_YAML.encode(), b"- {version: 3.23.6}\n" * 400_000],
        "releases.json": [b"[" * 1_000_000, b'{"release_branches": [' + b"{}," * 200_000 + b"{}]}"],
        "security data": [
            b'{"distroversion":"v3.23","reponame":"main","packages":[' + b"{}," * 1_300_000 + b"{}]}",
            json.dumps(_secdb({"nginx": {f"1.{number}": [] for number in range(200_000)}})).encode(),
            json.dumps(_secdb(*({"nginx": {"1": [f"CVE-1-{number}"]}} for number in range(60_000)))).encode(),
        ],
        "OAPI answer": [b'{"a":' * 500_000, b'{"Images": [' + b"1," * 500_000 + b"1]}"],
        "ledger entry": [b"[" * 500_000],
        "stack export": [b"[" * 500_000],
        "APKINDEX archive": [gzip.compress(b"\0" * 300 * 1024**2, 1) * 2, gzip.compress(b"\0" * 1024) * 10_000],
        "APKINDEX records": [b"P:a\nV:1\nD:" + b"b " * 2_000_000, b"P:a\nV:" + b"1." * 2_000_000 + b"1\n"],
        "Packer's output": [b"(" * 5_000_000, b"Error " * 1_000_000, b"\n" * 5_000_000],
        "facts of a VM": [b"a=" * 2_000_000],
    }


_RUN = """
import json, pickle, resource, sys, time
from tests.hostile.targets import TARGETS, check
bombs = pickle.load(sys.stdin.buffer)
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
for name, number, data in bombs:
    began = time.process_time()
    said = check(TARGETS[name], data) or "read"
    print(json.dumps([name, number, time.process_time() - began, said[:200]]), flush=True)
"""


@pytest.mark.slow
def test_each_ends_soon_and_stays_small() -> None:
    """All in one process; the memory that it may have counts what it holds besides, too."""
    thrown = [(name, number, data) for name, all_of in bombs().items() for number, data in enumerate(all_of)]
    command = [sys.executable, "-c", _RUN, str(MEMORY), str(SECONDS * len(thrown))]
    done = subprocess.run(
        command, input=pickle.dumps(thrown), cwd=TOP, capture_output=True, timeout=SECONDS * len(thrown), check=False
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    print(*(f"{name} {number}: {seconds:.1f} s: {said}" for name, number, seconds, said in told), sep="\n")
    assert done.returncode == 0, f"after {told[-1:]}: {done.stderr[-2000:].decode('utf-8', 'replace')}"
    assert [told_of[:2] for told_of in told] == [[name, number] for name, number, _ in thrown]
    assert {(name, number): seconds for name, number, seconds, _ in told if seconds > SECONDS} == {}
