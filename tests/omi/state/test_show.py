from __future__ import annotations

from datetime import date

from omi.profile.model import Access
from omi.state.ledger import Ledger
from omi.state.show import render_images
from omi.state.withdrawal import Withdrawal
from tests.omi.plan.make import build, held

MINE, FRIEND = "123456789012", "210987654321"


def test_it_tells_who_may_launch_each_image_and_how_far_it_is_withdrawn() -> None:
    withdrawal = Withdrawal(
        why="superseded", shared=True, deprecated=date(2026, 11, 1), private=date(2026, 12, 1), removal=date(2027, 1, 1)
    )
    public = held(build(access=Access(public=True)), "3.23.5")
    images = [
        public.published(public.spec.access, withdrawal),
        held(build(access=Access(public=True, accounts=(FRIEND,))), "3.23.6"),
        held(build(access=Access(accounts=(MINE,))), "3.23.7"),
        held(build(access=Access(accounts=(FRIEND,))), "3.23.8"),
        held(build(access=Access(accounts=(FRIEND, "1" * 12))), "3.23.9"),
    ]
    shown = [line.rpartition("-  ")[2] for line in render_images(Ledger.of(images)).splitlines()[1:]]
    assert [" ".join(line.split()) for line in shown] == [
        "private private, to be removed on 2027-01-01",
        "public current",
        "private current",
        "1 account current",
        "2 accounts current",
    ]
