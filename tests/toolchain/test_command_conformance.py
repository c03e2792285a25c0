"""What this project relies on in `local.Command`, driven through real `pulumi up`: the stand-in and the genuine plugin.

One stack lives through one story (create, change, fail, remove, destroy); each test looks at one thing in it.
"""

import json
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.toolchain.stack import LIMIT_SECONDS, Command, Project, Run
from toolchain.command_provider.server import ANNOUNCEMENT
from toolchain.installed import STAND_IN_MARK, find_installed
from toolchain.sources import place_stand_in
from toolchain.store import Store, cache_folder
from toolchain.tools import COMMAND_PLUGIN

pytestmark = pytest.mark.slow

SECRET = "hunter2-conformance"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def plugin_in_use() -> dict[str, str] | None:
    """What the set-up recorded of the command plugin, None before `make tools`."""
    tools = Path(__file__).parents[2] / ".venv/toolchain/tools.json"
    return json.loads(tools.read_text())["tools"][COMMAND_PLUGIN.name] if tools.is_file() else None


def genuine_plugin() -> Path | None:
    """The genuine plugin's folder: the one in use, or one somebody installed."""
    record = plugin_in_use()
    if record and record["origin"] != "stand-in":
        return Path(record["path"]).parent
    found = find_installed(COMMAND_PLUGIN, Store(cache_folder()).folder)
    return found.files[0].parent if found else None


@pytest.fixture(scope="module", params=["stand-in", "genuine"] if genuine_plugin() else ["stand-in"])
def plugin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the plugin under test."""
    genuine = genuine_plugin()
    if request.param == "genuine" and genuine:
        return genuine
    (program,) = COMMAND_PLUGIN.places(tmp_path_factory.mktemp("stand-in"), COMMAND_PLUGIN.version)
    program.parent.mkdir(parents=True)
    place_stand_in(program)
    return program.parent


@pytest.fixture(scope="module")
def genuine(plugin: Path) -> bool:
    return not (plugin / STAND_IN_MARK).exists()


def first_commands(folder: Path) -> dict[str, Command]:
    """The story's first program. Each command's `delete` notes in a file what it was told."""
    log = folder / "log"
    fifo = folder / "meeting"
    os.mkfifo(fifo)
    return {
        "plain": Command({"create": f"echo ran >> {log}-plain; printf 'one\\ntwo\\n\\n'; echo oops >&2"}),
        "fed": Command({"create": "cat", "stdin": "line 1\nline 2"}),
        "unfed": Command({"create": "cat"}),
        "told": Command({"create": 'echo "$GREETING $AMBIENT"', "environment": {"GREETING": "hello"}}),
        "here": Command({"create": "pwd"}),
        "changing": Command(
            {
                "create": "echo made; echo noise >&2",
                "update": 'echo "$LEVEL after $PULUMI_COMMAND_STDOUT, $PULUMI_COMMAND_STDERR"',
                "delete": f'echo "$PULUMI_COMMAND_STDOUT" >> {log}-changing',
                "environment": {"LEVEL": "1"},
                "triggers": ["same", 1],
            }
        ),
        "without-update": Command(
            {"create": f"echo ran >> {log}-without-update; wc -l < {log}-without-update", "environment": {"N": "1"}}
        ),
        "replaced": Command(
            {
                "create": f"echo create $LETTER | tee -a {log}-replaced",
                "update": f"echo update >> {log}-replaced",
                "delete": f'echo "delete $PULUMI_COMMAND_STDOUT" >> {log}-replaced',
                "environment": {"LETTER": "a"},
                "triggers": ["a"],
            }
        ),
        "delete-edited": Command(
            {"create": "echo made", "update": "echo updated", "delete": f"echo old >> {log}-edited"}
        ),
        "secretive": Command(
            {"create": 'printf %s "$TOKEN" | wc -c', "environment": {"TOKEN": SECRET}, "stdin": f"{SECRET}-in"},
            secret=("environment", "stdin"),
        ),
        "secret-output": Command(
            {"create": f"printf %s- {SECRET[:7]}; printf %s out"},
            secret=("create",),
            options={"additional_secret_outputs": ["stdout"]},
        ),
        "meets-a": Command({"create": f"timeout 60 sh -c 'echo met > {fifo}'"}),
        "meets-b": Command({"create": f"timeout 60 cat {fifo}"}),
        "stubborn": Command({"create": "echo made", "delete": f"echo cannot >&2; test -e {folder}/may-go"}),
    }


def changed_commands(first: dict[str, Command], folder: Path) -> dict[str, Command]:
    """The same program after an edit."""

    def edit(name: str, **inputs: object) -> Command:
        return replace(first[name], inputs={**first[name].inputs, **inputs})

    return {
        **first,
        "changing": edit("changing", environment={"LEVEL": "2"}),
        "without-update": edit("without-update", environment={"N": "2"}),
        "replaced": edit("replaced", triggers=["b"], environment={"LETTER": "b"}),
        "delete-edited": edit("delete-edited", delete=f"echo new >> {folder}/log-edited"),
    }


@dataclass(frozen=True)
class Story:
    """Every run of the story and what lay in the state after it."""

    folder: Path
    project: Project
    preview: Run
    files_after_preview: set[str]
    first_up: Run
    first_state: str
    first: dict[str, str]
    changed_preview: Run
    changed_up: Run
    changed: dict[str, str]
    failed_up: Run
    failing_recorded: bool
    removed_up: Run
    removed_left: set[str]
    destroyed: Run
    left_after_destroy: set[str]

    def log(self, name: str) -> list[str]:
        """Lines that a command's runs noted."""
        path = self.folder / f"log-{name}"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def story(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Live through the story once for each plugin."""
    folder = tmp_path_factory.mktemp("story")
    project = Project(folder, plugin, {"AMBIENT": "world"})
    first = first_commands(folder)
    project.declare(first)
    preview = project.preview()
    files_after_preview = {path.name for path in folder.glob("log-*")}
    first_up = project.up()
    first_state, first_outputs = project.state_text(), {name: project.stdout(name) for name in first}

    edited = changed_commands(first, folder)
    project.declare(edited)
    changed_preview = project.preview()
    changed_up = project.up()
    changed_outputs = {name: project.stdout(name) for name in edited}

    project.declare({**edited, "failing": Command({"create": "echo half; echo 'no such luck' >&2; exit 3"})})
    failed_up = project.up()
    failing_recorded = project.resource("failing") is not None

    kept = {name: command for name, command in edited.items() if name not in ("changing", "stubborn", "delete-edited")}
    project.declare(kept)
    removed_up = project.up("--continue-on-error")
    removed_left = {name for name in edited if project.resource(name)}

    (folder / "may-go").touch()
    destroyed = project.destroy()
    return Story(
        folder=folder,
        project=project,
        preview=preview,
        files_after_preview=files_after_preview,
        first_up=first_up,
        first_state=first_state,
        first=first_outputs,
        changed_preview=changed_preview,
        changed_up=changed_up,
        changed=changed_outputs,
        failed_up=failed_up,
        failing_recorded=failing_recorded,
        removed_up=removed_up,
        removed_left=removed_left,
        destroyed=destroyed,
        left_after_destroy={name for name in edited if project.resource(name)},
    )


def test_preview_runs_nothing_and_does_not_know_the_output(story: Story) -> None:
    assert story.preview.status == 0, story.preview.text
    assert story.files_after_preview == set()
    assert story.preview.planned("plain").get("stdout", UNKNOWN) == UNKNOWN
    assert story.changed_preview.status == 0, story.changed_preview.text
    assert story.changed_preview.operations("changing") == ["update"]
    assert story.changed_preview.planned("changing").get("stdout", UNKNOWN) == UNKNOWN


def test_create_keeps_both_outputs_with_one_newline_cut(story: Story) -> None:
    assert story.first_up.status == 0, story.first_up.text
    assert story.first["plain"] == "one\ntwo\n"
    resources = json.loads(story.first_state)["checkpoint"]["latest"]["resources"]
    plain = next(item for item in resources if item["urn"].endswith("::plain"))
    assert plain["outputs"]["stderr"] == "oops"
    assert plain["id"].startswith("plain")


def test_stdin_is_given_and_empty_without(story: Story) -> None:
    assert story.first["fed"] == "line 1\nline 2"
    assert story.first["unfed"] == ""


def test_environment_is_added_to_the_callers(story: Story) -> None:
    assert story.first["told"] == "hello world"


def test_it_runs_in_the_programs_folder(story: Story) -> None:
    assert story.first["here"] == str(story.project.folder)


def test_commands_run_in_parallel(story: Story) -> None:
    assert story.first["meets-b"] == "met"


def test_update_gets_the_last_output_and_replaces_it(story: Story) -> None:
    assert story.changed_up.operations("changing") == ["update"]
    assert story.changed["changing"] == "2 after made, noise"


def test_update_runs_create_again_where_there_is_no_update(story: Story) -> None:
    assert (story.first["without-update"].strip(), story.changed["without-update"].strip()) == ("1", "2")


def test_an_edited_delete_command_is_an_update(story: Story) -> None:
    assert story.changed_up.operations("delete-edited") == ["update"]
    assert story.changed["delete-edited"] == "updated"


def test_unchanged_commands_do_not_run_again(story: Story) -> None:
    assert story.log("plain") == ["ran"]
    assert story.changed_up.operations("plain") == ["same"]


def test_only_triggers_replace_and_the_new_one_comes_first(story: Story) -> None:
    assert story.log("replaced")[:3] == ["create a", "create b", "delete create a"]
    assert story.changed["replaced"] == "create b"
    replaced = [name for name in story.first if "replace" in story.changed_up.operations(name)]
    assert replaced == ["replaced"]


def test_a_failed_create_leaves_nothing_and_says_why(story: Story) -> None:
    assert story.failed_up.status != 0
    assert not story.failing_recorded
    assert "exit status 3" in story.failed_up.text
    assert "no such luck" in story.failed_up.text


def test_a_removed_command_is_deleted_with_its_last_output(story: Story) -> None:
    assert story.log("changing") == ["2 after made, noise"]
    assert story.log("edited") == ["new"]
    assert not {"changing", "delete-edited"} & story.removed_left


def test_a_failed_delete_keeps_the_resource_for_the_next_time(story: Story) -> None:
    assert story.removed_up.status != 0
    assert "cannot" in story.removed_up.text
    assert "stubborn" in story.removed_left


def test_destroy_runs_the_stored_deletes(story: Story) -> None:
    assert story.destroyed.status == 0, story.destroyed.text
    assert story.left_after_destroy == set()
    assert story.log("replaced")[3:] == ["delete create b"]


def test_secrets_reach_the_command_but_never_the_state_in_the_clear(story: Story) -> None:
    assert story.first["secretive"].strip() == str(len(SECRET))
    assert SECRET not in story.first_state
    assert f"{SECRET[:7]}-out" not in story.first_state
    assert "ciphertext" in story.first["secret-output"]


def test_output_is_logged_as_status(story: Story) -> None:
    assert sorted(story.first_up.messages(ephemeral=True, name="plain")) == ["", "one", "oops", "two"]


def test_the_stand_in_says_once_that_it_serves(story: Story, genuine: bool) -> None:
    told = [message for message in story.first_up.messages(ephemeral=False) if message == ANNOUNCEMENT]
    assert len(told) == (0 if genuine else 1)


def test_output_shows_while_it_runs_and_an_interrupt_kills_the_child(plugin: Path, tmp_path: Path) -> None:
    project = Project(tmp_path, plugin, {})
    project.declare({"endless": Command({"create": "echo working as $$; exec sleep 600"})})
    with project.start_up() as up:
        if up.stdout is None:
            pytest.fail("no pipe to the CLI")
        try:
            line = next(line for line in up.stdout if "working as" in line and '"ephemeral":true' in line)
            child = int(json.loads(line)["diagnosticEvent"]["message"].split()[-1])
            up.send_signal(signal.SIGINT)
            rest = up.stdout.read()
            status = up.wait(LIMIT_SECONDS)
        finally:
            up.kill()
    assert status != 0
    assert "signal: killed" in rest
    assert not Path(f"/proc/{child}").exists()
    assert project.resource("endless") is None


def test_a_time_limit_kills_the_child(plugin: Path, tmp_path: Path) -> None:
    project = Project(tmp_path, plugin, {})
    limits = {"custom_timeouts": {"create": "1s"}}
    project.declare({"slow": Command({"create": "exec sleep 600"}, options=limits)})
    run = project.up()
    assert run.status != 0
    assert project.resource("slow") is None


def test_very_long_lines_and_output_do_not_stop_the_stand_in(plugin: Path, genuine: bool, tmp_path: Path) -> None:
    if genuine:
        pytest.skip("the genuine plugin stops for ever at a logged line of more than 64 KiB")
    project = Project(tmp_path, plugin, {})
    long_line = "head -c 1000000 /dev/zero | tr '\\0' x"
    project.declare(
        {
            "long": Command({"create": long_line}),
            "long-failing": Command({"create": f"{long_line} >&2; echo ' the end' >&2; exit 1"}),
        }
    )
    run = project.up()
    assert project.stdout("long") == "x" * 1_000_000
    assert "the end" in run.text


def test_the_stand_in_is_not_used_where_a_genuine_plugin_is_installed() -> None:
    record = plugin_in_use()
    assert record, "run `. toolchain/env.sh` first"
    found = find_installed(COMMAND_PLUGIN, Store(cache_folder()).folder)
    assert record["origin"] != "stand-in" or found is None, f"run `make tools`: {found} should be in use"


def test_the_genuine_plugin_is_driven_too() -> None:
    if genuine_plugin() is None:
        pytest.skip("the genuine command plugin is not installed and its maker could not be reached at set-up")
    record = plugin_in_use()
    assert record
    assert record["origin"] in ("installed", "maker")
