#!/usr/bin/env python3
"""A QEMU that runs nothing: it speaks QMP, writes a console as the source OMI does, and fails under KVM as it's told.

The file `kvm` beside it says how: works, stops (as a half-working KVM does: STOP, run state internal-error), panics,
full (of the disk), aborts, refuses, or silent. `runs` beside it gets a line for each run. Emulation always works.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

VERSION = "QEMU emulator version 9.9.9 (fake)"
BESIDE = Path(__file__).parent
LOADER = b"\r\nSYSLINUX 6.04 Copyright (C) 1994-2015 H. Peter Anvin et al\r\n"
STOPS = {"stops": "internal-error", "panics": "guest-panicked", "full": "io-error"}
SYSTEM = b"Debian GNU/Linux 12 debian ttyS0\r\n\r\ndebian login: "


def main(arguments: list[str]) -> int:
    if "--version" in arguments:
        print(VERSION)
        return 0
    accelerator = arguments[arguments.index("-accel") + 1].partition(",")[0]
    devices = [value for name, value in pairwise(arguments) if name == "-device"]
    with (BESIDE / "runs").open("a") as runs:
        print(json.dumps({"accelerator": accelerator, "devices": devices, "pid": os.getpid()}), file=runs)
    fate = (BESIDE / "kvm").read_text().strip() if accelerator == "kvm" else "works"
    if fate == "refuses":
        print("qemu-system-x86_64: failed to initialize kvm: Operation not permitted", file=sys.stderr)
        return 1
    chardevs = [value for name, value in pairwise(arguments) if name == "-chardev"]
    qmp = next(int(each.rpartition("=")[2]) for each in chardevs if "id=qmp" in each)
    console = Path(next(each.partition("path=")[2].replace(",,", ",") for each in chardevs if "id=console" in each))
    console.write_bytes(LOADER + SYSTEM if fate == "works" else b"")
    with socket.socket(fileno=qmp) as control, control.makefile("rw", encoding="utf-8") as stream:
        serve(stream, fate)
    return 0


def serve(stream: IO[str], fate: str) -> None:
    say(stream, QMP={"version": {"qemu": {"major": 9, "minor": 9, "micro": 9}}, "capabilities": []})
    status = "running"
    for line in stream:
        command = json.loads(line)["execute"]
        if command == "query-status":
            say(stream, **{"return": {"status": status, "running": status == "running"}})
            continue
        if command == "quit":
            return
        say(stream, **{"return": {}})
        if command == "qmp_capabilities" and fate in STOPS:
            status = STOPS[fate]
            say(stream, event="STOP", timestamp={"seconds": 1, "microseconds": 0})
        elif command == "qmp_capabilities" and fate == "aborts":
            print("qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69", file=sys.stderr, flush=True)
            os.abort()
        elif command == "stop":
            status = "paused"
            say(stream, event="STOP", timestamp={"seconds": 1, "microseconds": 0})
        elif command == "cont":
            status = "running"


def say(stream: IO[str], **message: Any) -> None:
    print(json.dumps(message), file=stream, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
