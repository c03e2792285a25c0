"""The gate of `max_missing_fixes`: stops an image that lacks more fixes than its profile allows."""

from __future__ import annotations

from omi.build.job import Job
from omi.publish.documents.installed import read_packages
from omi.publish.documents.kinds import file_name
from omi.publish.security import missing_fixes
from omi.support import clock
from omi.support.errors import VerifyError, few
from omi.support.places import cache_folder
from omi.upstream.security import read_security

_NAMED = 4


def check_fixes(job: Job) -> None:
    """Count the fixes that the image of the job's documents lacks.

    Raises VerifyError if there are too many, or if they can't be counted. A copy has passed this gate in its home
    Region.
    """
    build, name = job.spec.target, job.spec.name
    most, site = build.max_missing_fixes, build.security
    if most is None or site is None or job.spec.copy_from is not None:
        return
    security = read_security([build], site, cache_folder() / "upstream")
    cure = "run again, or take max_missing_fixes out of the profile"
    if not security.knows(build):
        raise VerifyError(f"{name}: the fixes that it lacks can't be counted: {security.warnings[0]}; {cure}")
    try:
        text = (job.folder.documents / file_name(name, "packages")).read_text(encoding="utf-8")
    except OSError as error:
        raise VerifyError(f"{name}: the fixes that it lacks can't be counted without its packages; {cure}") from error
    packages = ((each.name, each.version, each.origin) for each in read_packages(text))
    missing = missing_fixes(build, packages, security, clock.today())
    if missing.count > most:
        named = few([str(fix) for fix in missing.fixes], _NAMED)
        raise VerifyError(
            f"{name}: lacks {missing.count} fixes, max_missing_fixes is {most}: {named}; "
            "build again once the mirror offers them, or allow more"
        )
    job.narrator.say(f"it lacks {missing.count} of the fixes that Alpine lists, {most} are allowed")
