"""Checks of a booted image: one module a subject, with facts from the probe of the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from omi.verify.checks.accounts import check_accounts
from omi.verify.checks.apk import check_apk
from omi.verify.checks.bootstrap import check_bootstrap
from omi.verify.checks.changes import check_changes
from omi.verify.checks.files import check_files
from omi.verify.checks.firmware import check_firmware
from omi.verify.checks.kernel import check_kernel
from omi.verify.checks.packages import check_packages
from omi.verify.checks.release import check_release
from omi.verify.checks.root import check_root
from omi.verify.checks.services import check_services
from omi.verify.checks.settings import check_settings
from omi.verify.checks.sockets import check_sockets
from omi.verify.checks.system import check_system
from omi.verify.checks.time import check_time
from omi.verify.checks.user import check_user
from omi.verify.facts import Expected, Facts

Check = Callable[[Facts, Expected], Iterator[str]]

CHECKS: tuple[Check, ...] = (
    check_system,
    check_release,
    check_services,
    check_root,
    check_firmware,
    check_bootstrap,
    check_sockets,
    check_files,
    check_accounts,
    check_packages,
    check_changes,
    check_time,
    check_user,
    check_settings,
    check_apk,
    check_kernel,
)
"""Every check; each yields one clause for each fault."""
CHECKS_AT_REST: tuple[Check, ...] = (check_files, check_accounts, check_packages, check_changes, check_time)
"""Checks that also work on the root of a finished image before its first boot."""


def failed_checks(facts: Facts, expected: Expected) -> list[str]:
    """Every failed check in words; empty if the image is good."""
    if facts.one("end") != "yes":
        return ["the probes of the image did not run to their end"]
    checks = CHECKS if facts.is_booted else CHECKS_AT_REST
    return [clause for check in checks for clause in check(facts, expected)]
