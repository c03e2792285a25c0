from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.source_omi.sources import debian_sources

DEB822 = """\
# The distribution.
Types: deb deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.invalid/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
KEY = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_deb822_sources_of_debian_are_taken_suite_by_suite(apt: Path) -> None:
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)

    assert debian_sources(apt) == (
        f"deb {KEY} http://mirror.invalid/debian bookworm main",
        f"deb {KEY} http://mirror.invalid/debian bookworm-updates main",
        f"deb {KEY} http://mirror.invalid/debian-security bookworm-security main",
    )


def test_one_line_sources_are_taken(apt: Path) -> None:
    (apt / "sources.list").write_text(
        "# deb http://old.invalid/debian bookworm main\n"
        "deb http://mirror.invalid/debian bookworm main non-free-firmware # all of it\n"
        f"deb {KEY.replace('[', '[arch=amd64 ')} http://b.invalid/d bookworm-updates main\n"
        "deb-src http://mirror.invalid/debian bookworm main\n"
    )

    assert debian_sources(apt) == (
        "deb http://mirror.invalid/debian bookworm main",
        f"deb {KEY} http://b.invalid/d bookworm-updates main",
    )


@pytest.mark.parametrize(
    "other",
    [
        "deb http://other.invalid/apt cloud-sdk-bookworm main",
        "deb http://other.invalid/linux/debian bookworm stable",
        "deb [signed-by=/usr/share/keyrings/other.gpg] http://other.invalid/debian bookworm main",
        "deb http://other.invalid/ubuntu noble main",
    ],
)
def test_sources_of_others_are_left_out(apt: Path, other: str) -> None:
    (apt / "sources.list.d" / "other.list").write_text(f"{other}\n")
    assert debian_sources(apt) == ()

    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert not any("other.invalid" in line or "trixie" in line for line in debian_sources(apt))
    assert len(debian_sources(apt)) == 3


def test_another_debian_is_asked_for_debian_12_by_its_own_servers(apt: Path) -> None:
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822.replace("bookworm", "trixie"))

    assert debian_sources(apt) == (
        f"deb {KEY} http://mirror.invalid/debian bookworm main",
        f"deb {KEY} http://mirror.invalid/debian bookworm-updates main",
        f"deb {KEY} http://mirror.invalid/debian-security bookworm-security main",
    )
    (apt / "sources.list").write_text("deb http://own.invalid/debian bookworm main\n")
    assert debian_sources(apt) == ("deb http://own.invalid/debian bookworm main",), "its own source counts alone"


def test_disabled_sources_and_other_files_do_not_count(apt: Path) -> None:
    (apt / "sources.list.d" / "debian.sources").write_text(f"Enabled: no\n{DEB822.split(chr(10), 1)[1]}")
    (apt / "sources.list.d" / "old.list.disabled").write_text("deb http://mirror.invalid/debian bookworm main\n")

    assert debian_sources(apt) == ()


def test_updates_without_the_distribution_are_no_source(apt: Path) -> None:
    (apt / "sources.list").write_text("deb http://mirror.invalid/debian bookworm-updates main\n")

    assert debian_sources(apt) == ()
