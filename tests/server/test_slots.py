"""Slots: first come, first served, and a line of bounded length."""

from mambino.server.slots import Slots, Ticket


def joined(slots: Slots) -> Ticket:
    ticket = slots.join()
    assert ticket is not None
    return ticket


def test_the_line_is_served_in_order_and_refuses_when_full() -> None:
    slots = Slots(1, max_waiting=2)
    first, second, third = joined(slots), joined(slots), joined(slots)
    assert slots.join() is None
    assert slots.retry_after_s >= 1
    assert [one.has_slot for one in (first, second, third)] == [True, False, False]
    assert (second.position, third.position) == (0, 1)
    first.leave()
    first.leave()
    assert [one.has_slot for one in (second, third)] == [True, False]
    assert slots.join() is not None


def test_leaving_the_line_moves_the_others_up() -> None:
    slots = Slots(1, max_waiting=5)
    first, second, third = joined(slots), joined(slots), joined(slots)
    second.leave()
    first.leave()
    assert third.has_slot
    third.leave()
    assert (slots.running, slots.waiting) == (0, 0)
