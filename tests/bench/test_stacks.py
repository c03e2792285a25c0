"""Benches by real Pulumi, small: that they run, and that their figures are possible ones."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pytest

from bench import packer, preview
from bench.stacks import ImageProgram, project_on_sandbox

pytestmark = pytest.mark.slow


def test_previews_and_updates_are_compared_with_programs_that_do_less(tmp_path: Path) -> None:
    with project_on_sandbox(tmp_path) as project:
        ours = ImageProgram(project)
        told = [
            *preview.held(ours, tmp_path, runs=1, builds=1, revisions=2),
            *preview.many(ours, tmp_path, runs=1, builds=2, revisions=1),
            *preview.new(ours, tmp_path, runs=1, builds=2),
        ]
    assert [each.name for each in told] == [
        "preview of 2 images, empty program",
        "up of 2 images, empty program",
        "preview of 2 images, bare program",
        "up of 2 new images, bare program",
    ]
    for each in told:
        assert min(each.ours.wall, each.ours.cpu, each.other.wall, each.other.cpu) > 0.1


def test_a_builds_seconds_are_packers_the_programs_and_the_verifys(tmp_path: Path) -> None:
    with project_on_sandbox(tmp_path) as project:
        parts = packer.measure(ImageProgram(project))
    assert min(astuple(parts)) >= 0
    assert parts.packer > 1
    assert parts.own > 0.5
    assert "the program's own" in packer.report(parts)
