"""Plans changes of images as others see them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omi.plan.model import Change, ChangeKind
from omi.plan.reasons import Because, Reason
from omi.profile.model import EVERYONE, Access
from omi.state.account import AccountImage
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Stage


def share_of_new(access: Access, owner: str, set_by: str) -> tuple[Change, ...]:
    """The sharing of a new image; `set_by` is the source of its access, `owner` the own account."""
    who = access.launchers(owner)
    return (Change(ChangeKind.SHARE, Because.SHARED_ONCE_VERIFIED(who=_names(who), set_by=set_by)),) if who else ()


def changes_of(
    before: LedgerImage, after: LedgerImage, seen: AccountImage | None, stage: Reason, set_by: str
) -> Iterator[Change]:
    """The changes from what state and account hold to what is wanted; `stage` is the reason for the wanted stage."""
    owner, access = before.record.account, after.spec.access.launchers(before.record.account)
    was, becomes = before.spec.stage, after.spec.stage
    if was is Stage.PRIVATE and becomes is not Stage.PRIVATE:
        who = _names(access) or "nobody else"
        yield Change(ChangeKind.RESTORE, stage.also(Because.SHARED_AGAIN(who=who)))
    elif was is not becomes:
        yield Change(_REACHED[becomes], stage)
    elif before.spec.withdrawal != after.spec.withdrawal:
        yield Change(ChangeKind.ANNOUNCE, stage)
    if Stage.PRIVATE not in (was, becomes):
        had = before.spec.access.launchers(owner)
        if access - had:
            yield Change(ChangeKind.SHARE, Because.SHARED(who=_names(access - had), set_by=set_by))
        if had - access:
            yield Change(ChangeKind.UNSHARE, Because.UNSHARED(who=_names(had - access), set_by=set_by))
    yield from _put_back(before, seen)


_REACHED = {
    Stage.CURRENT: ChangeKind.RESTORE,
    Stage.DEPRECATED: ChangeKind.DEPRECATE,
    Stage.PRIVATE: ChangeKind.MAKE_PRIVATE,
}


def _put_back(image: LedgerImage, seen: AccountImage | None) -> Iterator[Change]:
    """The changes that undo those made by others."""
    if seen is None:
        return
    if seen.access is not None:
        owner = image.record.account
        may, has = image.spec.launch_access.launchers(owner), seen.access.launchers(owner)
        signs = [f"+{_names({name})}" for name in sorted(has - may)] + [
            f"-{_names({name})}" for name in sorted(may - has)
        ]
        if signs:
            yield Change(ChangeKind.PUT_BACK, Because.PUT_BACK_ACCESS(signs=" ".join(signs)))
    if seen.open_snapshots:
        yield Change(ChangeKind.PUT_BACK, Because.PUT_BACK_SNAPSHOTS(snapshots=tuple(seen.open_snapshots)))


def _names(who: Iterable[str]) -> str:
    """The names of launchers: everyone first, then ids."""
    return ", ".join(sorted(who, key=lambda name: (name != EVERYONE, name)))
