"""The project's own errors: one clear line each (what, where, what is allowed, what to do) and an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

LONGEST = 10_000
"""Characters of one error; it names a few hundred images at most."""


_KINDS = {
    "bool": "true or false",
    "date": "a date, such as 2027-11-01",
    "datetime": "a time, such as 2027-11-01T12:00:00Z",
    "dict": "a map of keys to values",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a map of keys to values",
    "string": "text",
    "tuple": "a list",
}
"""Our names for pydantic's kinds of value."""


def one_line(text: str, limit: int = LONGEST) -> str:
    """Foreign text as one printable line of at most `limit` characters, without control characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def few(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """The first names of a list, and the number of the others."""
    more = len(names) - most
    return between.join(names[:most]) + (f" and {more} more" if more > 0 else "")


def first_problem(error: ValidationError, whole: str = "the whole text") -> str:
    """The first problem that pydantic found, as `key: why`; `whole` replaces the key if there is none."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {why_wrong(first)}"


def why_wrong(detail: ErrorDetails) -> str:
    """Why a value is wrong, in words that follow its key."""
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a known key"
        case "json_invalid":
            return f"is not JSON ({detail['msg'].removeprefix('Invalid JSON: ')})"
        case "literal_error":
            return f"must be {detail['ctx']['expected']}"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {detail['ctx']['max_length']} characters"
        case "greater_than_equal":
            return f"must be at least {detail['ctx']['ge']}"
        case "less_than_equal":
            return f"must be at most {detail['ctx']['le']}"
        case kind if (wanted := _KINDS.get(kind.partition("_")[0])) and kind.endswith(("_type", "_parsing")):
            return f"must be {wanted}"
        case _:
            return detail["msg"].removeprefix("Value error, ").removeprefix("Input ")


class OmiError(Exception):
    """The base of all errors that people see as one line; `exit_code` is the command's exit code."""

    exit_code: ClassVar[int] = 1

    def __init_subclass__(cls, exit_code: int | None = None) -> None:
        cls.exit_code = exit_code or cls.exit_code

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))

    def name_place(self, where: str, more: str = "") -> None:
        """Put a place (`Region us-east-2`) before the error's words, and `more` after them. A second call does
        nothing."""
        if not str(self).startswith(f"{where}: "):
            self.args = (one_line(f"{where}: {self}{more}"),)


class InputError(OmiError, exit_code=2):
    """Some input is wrong: a profile, a setting, an argument."""


class ProfileError(InputError):
    """A profile is wrong. The message has file, line, key, value and what is allowed of its first problem."""

    def __init__(self, message: str, *more: str) -> None:
        also = f" (and {len(more)} more: `python -m omi profile check` shows all)" if more else ""
        super().__init__(message + also)
        self.problems = (one_line(message), *map(one_line, more))


class SettingsError(InputError):
    """The stack's configuration is wrong; the message names the key, the value and what is allowed."""


class CredentialsError(OmiError, exit_code=3):
    """Credentials are missing or were refused; never retried, since four wrong tries lock the account."""


class UpstreamError(OmiError, exit_code=4):
    """Alpine's release data could not be read."""


class CloudError(OmiError, exit_code=5):
    """OUTSCALE refused or failed; `code` is its error code where there is one (`InvalidAMIID.NotFound`)."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class BuildError(OmiError, exit_code=6):
    """Packer or the guest scripts failed; the message holds the reason and names the log."""


class VerifyError(OmiError, exit_code=7):
    """The built OMI failed its check; the message names every failed check."""


class StateError(OmiError, exit_code=8):
    """The stack's state holds something this version can't read."""


class NoStackError(StateError):
    """The state's backend has no stack of this name."""


class PlanError(OmiError, exit_code=9):
    """The plan may not be carried out; the message names the images and the setting that allows it."""


class ToolError(OmiError, exit_code=10):
    """A needed program is missing or failed; the message names the package or the command to run."""
