"""Errors of the installer; each is one clear line."""


class ToolchainError(Exception):
    """The tools could not be put in place; the text says what, where, and what to do."""


class UnavailableError(ToolchainError):
    """A tool can't be had from this source, so the next one is tried."""
