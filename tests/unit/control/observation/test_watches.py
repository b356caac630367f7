"""How long nothing has moved."""

from __future__ import annotations

from replicator.control.observation.watches import Stillness


def test_what_moves_is_never_still_and_what_need_not_move_neither() -> None:
    sent = Stillness()
    assert [sent.seconds(end, now) for now, end in enumerate((5, 5, 5, 6, 6, None, 6, 6))] == [
        *(0, 1, 2, 0, 1),
        *(0, 0, 1),
    ]
