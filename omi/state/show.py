"""Prints the images of a stack as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from omi.profile.model import EVERYONE
from omi.state.ledger import Ledger, LedgerImage

_REGION = "REGION"
HEADINGS = ("BUILD", "RELEASE", "OMI", "NAME", "SIZE", "USED", "PACKAGES", "BUILD TIME", "BOOT", "ACCESS", "STAGE")


def render_images(ledger: Ledger) -> str:
    """Each build's images, newest last: ids, volume size, space used and that of the packages, build and boot time, who
    may launch it, and how far it is withdrawn; first the Region where there are several.
    """
    if not ledger.images:
        return "This stack holds no image."
    rows = [HEADINGS, *(_row(image) for image in ledger.images)]
    if len({image.region for image in ledger.images}) > 1:
        rows = [(first, *row) for first, row in zip((_REGION, *(i.region for i in ledger.images)), rows, strict=True)]
    return render_columns(rows)


def render_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(image: LedgerImage) -> tuple[str, ...]:
    record = image.record
    return (
        image.build,
        image.release,
        record.omi,
        image.name,
        f"{record.volume_size} GiB",
        _mebibytes(record.used_bytes),
        _mebibytes(record.installed_bytes),
        "-" if record.build_seconds is None else f"{record.build_seconds} s",
        "-" if record.boot_seconds is None else f"{record.boot_seconds} s",
        _access(image),
        _stage(image),
    )


def _access(image: LedgerImage) -> str:
    access = image.spec.launch_access
    accounts = access.launchers(image.record.account) - {EVERYONE}
    if access.public or not accounts:
        return "public" if access.public else "private"
    return "1 account" if len(accounts) == 1 else f"{len(accounts)} accounts"


def _stage(image: LedgerImage) -> str:
    withdrawal = image.spec.withdrawal
    until = f", to be removed on {withdrawal.removal}" if withdrawal and withdrawal.removal else ""
    return f"{image.spec.stage.value}{until}"


def _mebibytes(number: int | None) -> str:
    return "-" if number is None else f"{number / 2**20:.0f} MiB"
