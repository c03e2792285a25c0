"""The kernel's start."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts


def check_kernel(facts: Facts, expected: Expected) -> Iterator[str]:
    """Options and modules are on the kernel's command line, and the initramfs has the features."""
    words = facts.one("kernel_command_line").split()
    if not words:
        yield "the kernel's command line could not be read"
    for option in expected.build.kernel_options:
        if option not in words:
            yield f"the kernel was started without {option}"
    modules = {name for word in words if word.startswith("modules=") for name in word[len("modules=") :].split(",")}
    for module in expected.build.kernel_modules:
        if module not in modules:
            yield f"the kernel module {module} is not loaded before the root is mounted"
    features = facts.one("initfs_features").split()
    if sorted(features) != sorted(expected.build.initfs_features):
        yield f"mkinitfs has the features {sorted(features)} instead of {sorted(expected.build.initfs_features)}"
