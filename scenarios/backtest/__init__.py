"""Back-tests: a period replayed as it was known, against today's rules and perfect foresight.

`records` what is asked and answered; `histories` the named periods, and where their series come from; `knowledge` what a
window sees of what is yet to come; `rules` today's rules, over the same machines and contracts; `realise` what was planned
meets what came; `regret` why a plan earned less than perfect foresight; `run` the front door.
"""
