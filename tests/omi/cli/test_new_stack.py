"""`stack new`: a stack of one's own begins with what it needs, and never with another's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from omi.cli.main import main
from omi.config.settings import Settings
from omi.config.stack import stack_config
from tests.omi.conftest import TOP


@pytest.fixture
def folder(root: Path) -> Path:
    """The stacks of a project that has profiles alpine and web."""
    shutil.copytree(TOP / "stacks", "stacks")
    for name in ("alpine", "web"):
        (root / f"{name}.yaml").write_text("builds: {}\n")
    return Path("stacks")


def test_a_local_stack_reaches_the_local_cloud(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stack", "new", "web", "--profile", "web", "--local"]) == 0
    *_, select, preview = capsys.readouterr().out.splitlines()
    assert (select.strip(), preview.strip()) == ("pulumi stack select --create web", "pulumi preview")
    made, demo = (Settings.load(stack_config(name)) for name in ("web", "sandbox"))
    assert made == demo.model_copy(update={"profile": "web"})


def test_nothing_else_of_the_demos_stack_comes_along(folder: Path) -> None:
    demo = yaml.safe_load((folder / "Pulumi.sandbox.yaml").read_text())
    demo["config"] |= {"alpine-omi:again": {"a": 1}, "alpine-omi:revoked": {"a": "b"}, "alpine-omi:access": "public"}
    (folder / "Pulumi.sandbox.yaml").write_text(yaml.safe_dump(demo))
    assert main(["stack", "new", "web", "--profile", "web", "--local"]) == 0
    made = yaml.safe_load((folder / "Pulumi.web.yaml").read_text())
    assert set(made) == {"config"}, "no salt"
    keys = {key.partition(":")[2] for key in made["config"]}
    assert keys == {"profile", "region", "cloud", "upstream", "vm", "releases_dir"}


def test_a_stack_on_outscale_has_its_region(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stack", "new", "web", "--profile", "web", "--region", "us-east-2"]) == 0
    assert Settings.load(stack_config("web")) == Settings(profile="web", region="us-east-2")
    assert "Credentials never go here" in (folder / "Pulumi.web.yaml").read_text()


@pytest.mark.parametrize("where", ["--local", "--region eu-west-2"])
def test_releases_of_a_profile_that_another_stack_has_go_elsewhere(folder: Path, where: str) -> None:
    assert main(f"stack new mine --profile alpine {where}".split()) == 0
    assert Settings.load(stack_config("mine")).releases_dir == "releases/mine"


def test_no_stacks_file_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "Pulumi.sandbox.yaml").read_text()
    assert main(["stack", "new", "sandbox", "--profile", "web", "--local"]) == 2
    told = "error: stacks/Pulumi.sandbox.yaml: is there already; give another name, or edit it\n"
    assert capsys.readouterr().err == told
    assert (folder / "Pulumi.sandbox.yaml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("web --profile web", "give --local, or --region with one of eu-west-2, us-east-2"),
        ("web --profile web --local --region eu-west-2", "give --local, or --region with one of"),
        ("web --profile web --region eu-west-9", "'eu-west-9' is not a Region of OUTSCALE; there are: eu-west-2"),
        ("web --profile wep --local", "there is no profile 'wep' (did you mean 'web'?)"),
        ("a/b --profile web --local", "is not a stack's name; give letters"),
    ],
)
def test_what_can_not_be_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: str, told: str
) -> None:
    before = sorted(folder.iterdir())
    assert main(["stack", "new", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(folder.iterdir()) == before
