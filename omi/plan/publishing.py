"""What changes in what others see of an image, and how that is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omi.plan.model import Change, ChangeKind
from omi.profile.model import EVERYONE, Access
from omi.state.account import AccountImage
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Stage


def share_of_new(access: Access, owner: str, said_by: str) -> tuple[Change, ...]:
    """Of an image that is to be made; `said_by` is where its access comes from, and `owner` the own account."""
    who = access.launchers(owner)
    return (Change(ChangeKind.SHARE, f"{_names(who)} may launch it once it is verified: {said_by}"),) if who else ()


def changes_of(
    before: LedgerImage, after: LedgerImage, seen: AccountImage | None, told: str, said_by: str
) -> Iterator[Change]:
    """From what state says and the account holds to what is wanted; `told` is the wanted stage with its reason."""
    owner, access = before.record.account, after.spec.access.launchers(before.record.account)
    was, becomes = before.spec.stage, after.spec.stage
    if was is Stage.PRIVATE and becomes is not Stage.PRIVATE:
        yield Change(ChangeKind.RESTORE, f"{told}; {_names(access) or 'nobody else'} may launch it again")
    elif was is not becomes:
        yield Change(_REACHED[becomes], told)
    elif before.spec.withdrawal != after.spec.withdrawal:
        yield Change(ChangeKind.TELL, told)
    if Stage.PRIVATE not in (was, becomes):
        had = before.spec.access.launchers(owner)
        if access - had:
            yield Change(ChangeKind.SHARE, f"{_names(access - had)} may launch it: {said_by}")
        if had - access:
            yield Change(ChangeKind.REVOKE, f"{_names(had - access)} may launch it no more: {said_by}")
    yield from _put_back(before, seen)


_REACHED = {
    Stage.CURRENT: ChangeKind.RESTORE,
    Stage.DEPRECATED: ChangeKind.DEPRECATE,
    Stage.PRIVATE: ChangeKind.MAKE_PRIVATE,
}


def _put_back(image: LedgerImage, seen: AccountImage | None) -> Iterator[Change]:
    """The changes that others have made since, to be undone."""
    if seen is None:
        return
    if seen.access is not None:
        owner = image.record.account
        may, has = image.spec.launch_access.launchers(owner), seen.access.launchers(owner)
        signs = [f"+{_names({name})}" for name in sorted(has - may)] + [
            f"-{_names({name})}" for name in sorted(may - has)
        ]
        if signs:
            text = f"launch permissions were changed outside and are put back ({' '.join(signs)})"
            yield Change(ChangeKind.PUT_BACK, text)
    if seen.open_snapshots:
        text = f"others may use {', '.join(seen.open_snapshots)}, which is put back: snapshots stay private"
        yield Change(ChangeKind.PUT_BACK, text)


def _names(who: Iterable[str]) -> str:
    """Everyone first, then ids."""
    return ", ".join(sorted(who, key=lambda name: (name != EVERYONE, name)))
