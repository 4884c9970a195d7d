"""docs/configuration.md and `torchproof.settings` say the same."""

from __future__ import annotations

import tomllib
from dataclasses import fields

from tests.docs.pages import code, table

from torchproof.settings import Settings, Tier


ROWS = {
    code(key): (code(default), text)
    for key, default, text in table("docs/configuration.md", "| key |")
}


def test_every_key_is_documented_and_every_documented_key_is_one():
    keys = {spec.name.replace("_", "-") for spec in fields(Settings)} - {"tiers"}
    assert {*ROWS} == {*keys, "tiers.NAME"}


def test_every_default_is_the_one_that_is_documented():
    settings = Settings()
    for key, (default, _) in ROWS.items():
        if key != "tiers.NAME":
            value = getattr(settings, key.replace("-", "_"))
            documented = tomllib.loads(f"value = {default}")["value"] if default else None
            assert (value or None) == (documented or None), key


def test_every_key_of_a_tier_is_documented():
    _, text = ROWS["tiers.NAME"]
    for spec in fields(Tier):
        assert f"`{spec.name}`" in text or spec.name == "name"
