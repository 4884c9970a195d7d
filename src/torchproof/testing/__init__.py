"""The pytest plugin: tiers, seeds and random streams, the leak guard, events, the `proof` fixture.

`plugin` holds the options and decides nothing. Nothing here imports torch; what concerns torch
happens once the code under test has imported it. Runs on Python 3.9 and pytest 7.0.
"""
