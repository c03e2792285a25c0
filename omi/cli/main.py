"""The command line for people: every command has its help and an example; errors have one line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from omi import __version__
from omi.cli.claim import claim
from omi.cli.doctor import doctor
from omi.cli.fork import fork
from omi.cli.health import health
from omi.cli.import_old import import_old
from omi.cli.migrate import migrate_profiles
from omi.cli.new import new_profile, new_stack
from omi.cli.one_off import build, prune
from omi.cli.profile import check_profiles, diff_build, show_build
from omi.cli.publish import publish
from omi.cli.recover import recover
from omi.cli.site import site
from omi.cli.stack import images, plan
from omi.cli.sweep import sweep
from omi.cli.trial import try_build
from omi.support.errors import InputError
from omi.support.running import run

COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "build": (build, "build -s alpine v3_23-x86_64 --again --yes"),
    "claim": (claim, "claim -s alpine alpine-3.23.6-x86_64-r0"),
    "doctor": (doctor, "doctor -s alpine"),
    "fork": (fork, "fork -s copy --yes"),
    "health": (health, "health -s alpine --openmetrics"),
    "images": (images, "images -s alpine"),
    "import": (import_old, "import -s alpine ../old/releases/alpine.yaml --own"),
    "migrate": (migrate_profiles, "migrate ../old"),
    "plan": (plan, "plan -s alpine --json"),
    "profile check": (check_profiles, "profile check web"),
    "profile diff": (diff_build, "profile diff v3_23-x86_64 -s web"),
    "profile new": (new_profile, "profile new web"),
    "profile show": (show_build, "profile show v3_23-x86_64 --profile web"),
    "prune": (prune, "prune -s alpine --level end-of-life --yes"),
    "publish": (publish, "publish -s alpine --key ~/.ssh/images"),
    "recover": (recover, "recover -s alpine --yes"),
    "site": (site, "site --output public"),
    "stack new": (new_stack, "stack new web --profile web --local"),
    "sweep": (sweep, "sweep -s alpine --yes"),
    "try": (try_build, "try v3_23-x86_64 --profile web"),
}
"""Each with an example of its arguments."""
GROUPS = {"profile": "Write, check and compare profiles.", "stack": "Make a stack's configuration."}
"""The groups of commands of two words."""
PURPOSE = "Manage a stack's images beside pulumi, which builds and prunes them."
EXIT_CODES = """\
Exit codes: 0 done; 1 a check failed, or a fault of the program; 2 profile, setting or argument; 3 credentials;
4 Alpine's release data; 5 OUTSCALE; 6 build; 7 verify; 8 the stack's state; 9 the plan is refused; 10 a tool is
missing; 130 interrupted; 141 nobody reads the output."""
HABITS = """\
In place of the old tool's builder.py: for `omis PROFILE` run `pulumi up`, for `omis PROFILE BUILD` run `build`, for
`prune-amis` run `prune`, for `gen-release-readme` run `publish`; docs/migration.md has all."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    return run(lambda: _run(arguments or ["--help"]))


def program() -> None:
    """The console script `omi`."""
    sys.exit(main(sys.argv[1:]))


def _run(arguments: Sequence[str]) -> int:
    try:
        code = typer.main.get_command(_app())(list(arguments), prog_name="omi", standalone_mode=False)
    except SystemExit as ended:  # Rich raises it if the reader of the help went away
        raise BrokenPipeError from ended
    except TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "omi"
        why = error.format_message().rstrip(".")
        raise InputError(f"{path}: {why[:1].lower()}{why[1:]}; see `python -m {path} --help`") from error
    return code or 0


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"omi {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def _app() -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    app.callback(help=PURPOSE, epilog=f"{EXIT_CODES}\n\n{HABITS}")(_options)
    groups = {"": app}
    for name, (function, example) in COMMANDS.items():
        first, _, last = name.rpartition(" ")
        if first not in groups:
            groups[first] = typer.Typer(rich_markup_mode="rich")
            app.add_typer(groups[first], name=first, help=GROUPS[first])
        purpose = (inspect.getdoc(function) or name).partition("\n\n")[0]
        groups[first].command(last, help=purpose, epilog=f"Example: python -m omi {example}")(function)
    return app
