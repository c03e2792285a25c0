"""What is claimed about speed and memory, as ratios in one run."""

from collections.abc import Mapping


def as_usual(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with a Python that keeps what it compiled, as it does unless told otherwise."""
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
