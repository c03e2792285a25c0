"""What can go wrong while the tools are put in place; each is one clear line."""


class ToolchainError(Exception):
    """The tools could not be put in place; the text says what, where, and what to do."""


class PinError(ToolchainError):
    """toolchain/pins.toml or a go.mod says something that can't be used."""


class MakerUnreachableError(ToolchainError):
    """A maker's release can't be had from here, so the next way is tried."""


class ChecksumMismatchError(ToolchainError):
    """What came is not what was pinned: nothing is installed, and no other way is tried."""
