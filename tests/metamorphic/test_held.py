"""Which relations every run holds on a hundred worlds."""

from relations import HELD_OFTEN, OFTEN

LEAST, WORLDS = 18, 100


def test_at_least_eighteen_relations_that_exist_are_held_on_a_hundred_worlds(request):
    existing = {item.callspec.id for item in request.session.items if item.originalname == "test_relation_holds"}
    assert OFTEN >= WORLDS
    assert len(HELD_OFTEN) >= LEAST
    if len(existing) > len(HELD_OFTEN):  # all of them were asked for, not one file alone
        assert existing >= HELD_OFTEN
