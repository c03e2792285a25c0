"""`python -m sandbox.mirror make|serve`: the mirror by itself."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from sandbox.config import default_cache
from sandbox.mirror import MirrorError, MirrorSettings, Source, ensure, serve
from sandbox.mirror.make import timed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.mirror", description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache(), help="cache folder (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="make or find the fixture mirror and print its folder")
    server = commands.add_parser("serve", help="serve until interrupted")
    server.add_argument("--port", type=int, default=7442)
    server.add_argument("--source", type=Source, choices=list(Source), default=Source.AUTO)
    server.add_argument("--publish", action="append", default=[], metavar="BRANCH=RELEASE")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run one command; 0 when it worked, 1 with one line on standard error when not."""
    arguments = _arguments()
    try:
        if arguments.command == "make":
            print(ensure(arguments.cache, timed(_say)))
        else:
            _serve(arguments)
    except MirrorError as error:
        _say(f"error: {error}")
        return 1
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    settings = MirrorSettings(source=arguments.source)
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    server = serve(("127.0.0.1", arguments.port), arguments.cache, settings, timed(_say))
    try:
        for wish in arguments.publish:
            branch, _, release = wish.partition("=")
            server.publish(branch, release)
        status = server.status()
        _say(f"serving the {status.source} at {status.url}/alpine, keys in {status.keys or 'upstream'}")
        signal.sigwait(ending)
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
