"""The guides for a profile of one's own, a VM and a lost state, line by line as the documentation has them.

Real pulumi and Packer on stub VMs; the tests are one story in their order.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess

import pytest
import yaml

from tests.e2e.project import TOP, Project, Result

pytestmark = pytest.mark.slow

PROFILE = 'suffix: -web\nbuilds:\n  v3_23-x86_64: {version: "3.23"}\n'
"""As the guide's, without packages that stub VMs don't have."""


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    stacks = stub_project.folder / "stacks"
    shutil.copy(stacks / "Pulumi.e2e.yaml", stacks / "Pulumi.sandbox.yaml")  # with this sandbox's ports
    return stub_project


def blocks(page: str, language: str = "sh") -> list[str]:
    """The code blocks of a page of docs."""
    text = (TOP / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [script for name, script in found if name == language]


def block(page: str, part: str) -> str:
    """The one that has this part."""
    (found,) = (each for each in blocks(page) if part in each)
    return found


def shell(project: Project, script: str, stdin: int = subprocess.DEVNULL) -> Result:
    """Run it with the project's sandbox, and `pulumi up` without its question."""
    sandbox = f"python -m sandbox --home {project.home} --base-port {project.base_port}"
    script = script.replace("pulumi up", "pulumi up --yes --skip-preview").replace("python -m sandbox", sandbox)
    client = {"HOME": str(project.home), "REQUESTS_CA_BUNDLE": str(project.home / "ca.pem"), "PAGER": "cat"}
    done = project.run("sh", "-ec", script, changed=client, stdin=stdin)
    assert done.code == 0, done.end
    return done


def lines(text: str) -> list[str]:
    """Lines without what differs from run to run: ids, and the seconds that something took."""
    plain = re.sub(r"\bami-[0-9a-f]{8}\b", "OMI", re.sub(r"(?m)^ *\d+ s  |\bin \d+ s", "", text.replace("\r", "")))
    return [line.strip() for line in plain.splitlines()]


def test_the_first_image_is_as_its_guide_shows(project: Project) -> None:
    start, new, check, trial, stack, preview, build = blocks("first-image.md")
    shown = shell(project, start.replace("make setup\n", "")).text + shell(project, new).text
    (project.folder / "profiles" / "web.yaml").write_text(PROFILE, encoding="utf-8")
    shown += shell(project, check).text
    ours, its = pty.openpty()
    shown += shell(project, trial, stdin=its).text  # a stub's shell ends at once
    os.close(ours)
    os.close(its)
    assert (project.images(), project.left()) == ([], {})
    new_stack = stack.splitlines()[1]
    shown += shell(project, new_stack).text
    reach_the_sandbox(project, "web")
    shell(project, "\n".join(stack.splitlines()[2:]))
    shown += shell(project, preview).text
    assert shell(project, build).text.count(project.images()[-1]["id"]) > 0
    told = [line for text in blocks("first-image.md", "text") for line in lines(text)]
    whole = "\n".join(lines(shown))
    assert [line for line in told if line not in whole] == []


def reach_the_sandbox(project: Project, stack: str) -> None:
    """What a stack on OUTSCALE has otherwise: the sandbox in OUTSCALE's place."""
    path = project.folder / "stacks" / f"Pulumi.{stack}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["config"] |= {f"alpine-omi:{key}": project.configured(key) for key in ("cloud", "upstream", "vm")}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def test_a_profile_gets_a_stack_in_the_local_cloud(project: Project) -> None:
    shell(project, block("profiles.md", "profile check"))
    script = block("profiles.md", "--local").replace("new web", "new here").replace("create web", "create here")
    shell(project, script)
    assert project.run("pulumi", "stack", "--show-name").text.strip() == "here"
    shell(project, "pulumi stack rm --yes here; pulumi stack select web")


def test_an_unchanged_image_is_rebuilt_and_compared(project: Project) -> None:
    done = shell(project, block("profiles.md", "--again"))
    assert "asked for again (1)" in done.text
    assert "nothing differs from" in shell(project, block("profiles.md", "profile diff")).text
    shell(project, block("profiles.md", "diff alpine-"))


def test_a_vm_is_launched_by_osc_cli(project: Project) -> None:
    known = json.loads((project.home / "osc.json").read_text(encoding="utf-8"))["main"]
    profile = {key: known[key] for key in ("access_key", "secret_key", "region")}
    (project.home / ".osc").mkdir()
    endpoint = {"endpoint": f"https://127.0.0.1:{project.base_port}"}
    (project.home / ".osc" / "config.json").write_text(json.dumps({"default": profile | endpoint}), encoding="utf-8")
    newest = project.images()[-1]["id"]
    shell(project, block("launch.md", "pulumi stack output latest").replace("STACK", "web"))
    script = block("launch.md", "CreateVms").replace("ami-1a2b3c4d", newest).replace("198.51.100.7", "127.0.0.1")
    script = re.sub(r"(?m)^ssh .*\n", "", script)
    assert re.search(r"^(pending|running)$", shell(project, script).text, re.MULTILINE)


def test_a_vm_is_launched_in_the_local_cloud(project: Project) -> None:
    newest = project.images()[-1]["id"]
    status, launch, *rest = block("launch.md", "python -m sandbox launch").splitlines()
    assert newest in shell(project, status).text
    shown = shell(project, launch.replace("ami-1a2b3c4d", newest)).text
    (vm,) = re.findall(r"^(i-\w+) starts", shown, re.MULTILINE)
    for line in rest:
        shell(project, line.replace("i-5e6f7a8b", vm).replace("--follow", ""))


def test_a_lost_state_is_recovered(project: Project) -> None:
    before = project.images()
    assert project.pulumi("stack", "rm", "--force", "--preserve-config", "--yes", "web").code == 0
    shell(project, block("recovery.md", "python -m omi recover").replace("STACK", "web"))
    shown = project.run("python", "-m", "omi", "images", "-s", "web").text
    assert [image["id"] for image in before if image["id"] not in shown] == []


def test_all_of_it_goes_again(project: Project) -> None:
    assert "pulumi destroy" in (TOP / "docs" / "profiles.md").read_text(encoding="utf-8")
    for vm in project.inventory()["main"]["resources"]["vm"]:
        project.oapi().call("DeleteVms", VmIds=[vm["id"]])
    assert project.pulumi("destroy", "--yes", "-s", "web").code == 0
    assert project.images() == []
    assert project.pulumi("stack", "rm", "--yes", "web").code == 0
    assert not (project.folder / "stacks" / "Pulumi.web.yaml").exists()
