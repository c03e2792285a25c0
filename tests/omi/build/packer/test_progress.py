from __future__ import annotations

from pathlib import Path

import pytest

from omi.build.packer.progress import GuestResult, PackerOutput
from tests.guest.shell import run_functions

PREFIX = "outscale-bsusurrogate.alpine: "
GOOD = f"""\
outscale-bsusurrogate.alpine: output will be in this color.

==> {PREFIX}Prevalidating OMI Name: alpine-3.23.6-x86_64-r0
    {PREFIX}Found Image ID: ami-0000000a
==> {PREFIX}Launching a source OUTSCALE vm...
    {PREFIX}Vm ID: i-0000000b
==> {PREFIX}Waiting for SSH to become available...
==> {PREFIX}Connected to SSH!
==> {PREFIX}Uploading /build/omi-build => /tmp
    {PREFIX}guest: STEP installing 34 packages
    {PREFIX}guest: FACT file=f 644 - 7 1795547240 /etc/own name
    {PREFIX}guest: RESULT {{"used_bytes": 94000000, "trimmed_bytes": 147000000, "packages": 46}}
==> {PREFIX}Stopping the source vm...
    {PREFIX}Stopping vm, attempt 1
==> {PREFIX}Creating snapshot of EBS Volume vol-0123abcd...
==> {PREFIX}Registering the OMI...
==> {PREFIX}Terminating the source OUTSCALE vm...
Build 'outscale-bsusurrogate.alpine' finished after 58 seconds.
"""


def test_a_good_run_reads_as_a_story() -> None:
    output = PackerOutput()
    said = [text for line in GOOD.splitlines() if (text := output.feed(line))]
    assert said == [
        "booting the build VM",
        "waiting for the build VM's SSH",
        "entering the build VM",
        "uploading the guest scripts",
        "installing 34 packages",
        "stopping the build VM",
        "taking the snapshot",
        "registering the OMI",
        "terminating the build VM",
    ]
    assert output.result == GuestResult(used_bytes=94000000, trimmed_bytes=147000000, packages=46)
    assert output.facts == ["file=f 644 - 7 1795547240 /etc/own name"]
    assert output.volumes == ["vol-0123abcd"]


def test_what_a_list_of_errors_holds_is_the_reason_and_may_be_a_busy_clouds() -> None:
    output = PackerOutput()
    for line in f"""\
==> {PREFIX}Creating snapshot of EBS Volume vol-0123abcd...
==> {PREFIX}1 error occurred:
==> {PREFIX}\t* 503 Service Unavailable
==> {PREFIX}
==> {PREFIX}Terminating the source OUTSCALE vm...
Build 'outscale-bsusurrogate.alpine' errored after 4 seconds 949 milliseconds: 1 error occurred:
\t* 503 Service Unavailable


==> Some builds didn't complete successfully and had errors:
--> {PREFIX}1 error occurred:
\t* 503 Service Unavailable
""".splitlines():
        output.feed(line)
    assert output.reason == "taking the snapshot: 503 Service Unavailable"
    assert output.met_busy_cloud
    assert output.phase is None


def test_snapshot_progress_is_asked_for_only_while_it_is_taken() -> None:
    output = PackerOutput()
    output.feed(f"==> {PREFIX}Creating snapshot of EBS Volume vol-0123abcd...")
    assert output.phase == "snapshot"
    output.feed(f"==> {PREFIX}Registering the OMI...")
    assert output.phase is None


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            [
                f"    {PREFIX}guest: ERROR: two disks could be the target",
                f"==> {PREFIX}Script exited with non-zero exit status: 1. Allowed exit codes are: [0]",
                "Build 'outscale-bsusurrogate.alpine' errored after 41 seconds: Script exited",
            ],
            "two disks could be the target",
        ),
        (
            [f"==> {PREFIX}Timeout waiting for SSH."],
            "Timeout waiting for SSH.",
        ),
        (
            ["Build 'outscale-bsusurrogate.alpine' errored after 1 second: No OMI was found matching filters: {}"],
            "No OMI was found matching filters: {}",
        ),
        (["Error: 1 error(s) occurred:", "", "* ssh_private_key_file is invalid"], "ssh_private_key_file is invalid"),
        (["panic: index out of range"], "Packer gave no reason"),
    ],
)
def test_the_reason_is_the_most_exact_one(lines: list[str], reason: str) -> None:
    output = PackerOutput()
    for line in lines:
        output.feed(line)
    assert output.reason == reason


@pytest.mark.parametrize(
    "what",
    [
        "no repository has the package no-such-package",
        "the service chronyd (default) is in none of the installed packages",
        "the setup script setup/web.sh ended with exit code 1: cp: cannot stat 'a': No such file or directory",
        "the repository http://127.0.0.1:9/own can't be read: Connection refused",
        "the repository https://example.org/own is signed by no key that is trusted: UNTRUSTED signature",
        "the root volume of 975 MiB is full: 'mkinitfs' ended with exit code 1",
    ],
)
def test_what_the_guest_says_last_is_the_reason_word_by_word(tmp_path: Path, what: str) -> None:
    done = run_functions('fail "$WHAT" "the cure"', tmp_path, WHAT=what)
    output = PackerOutput()
    for line in f"Error: an earlier line of a tool\n{done.stderr}".splitlines():
        output.feed(f"==> {PREFIX}{line}")
    output.feed(f"==> {PREFIX}Script exited with non-zero exit status: 1. Allowed exit codes are: [0]")
    output.feed(
        "Build 'outscale-bsusurrogate.alpine' errored after 41 seconds 5 milliseconds: Script exited with non-zero"
    )
    assert output.reason == f"{what} (the cure)"


@pytest.mark.parametrize("text", ["{", "[]", '{"used_bytes": "many"}'])
def test_a_result_that_is_not_understood_is_no_result(text: str) -> None:
    output = PackerOutput()
    output.feed(f"    {PREFIX}guest: RESULT {text}")
    assert output.result == GuestResult()
