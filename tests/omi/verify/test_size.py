"""The image's size, and that of its packages by apk's own count."""

from __future__ import annotations

import subprocess
from pathlib import Path

import omi.verify
from omi.verify.boot import Verified
from omi.verify.facts import Facts

MIB = 2**20
PROBES = Path(omi.verify.__file__).parent / "probe"


def test_what_apk_counts_is_added_up(tmp_path: Path) -> None:
    database = tmp_path / "installed"
    database.write_text("C:Q1x\nP:musl\nI:666216\nT:the musl libc\n\nP:linux-virt\nS:1\nI:49375094\nF:boot\n\n")
    probes = (PROBES / name for name in ("00-begin.sh", "12-size.sh"))
    script = "".join(probe.read_text() for probe in probes).replace("/lib/apk/db/installed", str(database), 1)
    done = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, timeout=60, check=False)
    facts = Facts.parse(done.stdout)
    assert facts.number("installed_bytes") == 666216 + 49375094
    assert facts.number("used_bytes") > MIB


def test_an_image_without_apks_database_has_no_known_size() -> None:
    assert Verified.of(9.4, Facts.parse("used_bytes=\n")) == Verified(9, None, None)
