"""Every field of the configuration is listed with its doc, and found by its words."""

import pytest

from dream.overrides import override
from dream.presets import preset
from workbench.field_docs import shown_value
from workbench.runs.fields import config_fields, search_fields


def test_every_field_has_a_doc_a_kind_and_its_value():
    config = preset("tiny")
    fields = {field.key: field for field in config_fields(config)}
    tree = config.to_dict()
    assert set(fields) == {f"{section}.{name}" for section, part in tree.items() for name in part}
    assert all(field.doc and field.kind for field in fields.values())
    assert fields["masking.std"].doc.startswith("Spread of the normal") and fields["masking.std"].kind == "number"
    assert fields["masking.schedule"].kind == "warmup | constant | uniform | never"
    assert fields["train.betas"].kind == "2 numbers" and fields["train.steps"].kind == "whole number or none"


def test_what_was_changed_is_marked():
    base = preset("tiny")
    changed = [f.key for f in config_fields(override(base, ["masking.std=0.3"]), base) if f.changed]
    assert changed == ["masking.std"]


def test_search_wants_every_word_in_key_or_doc():
    fields = config_fields(preset("tiny"))
    assert {"train.lr", "train.muon_lr"} <= {f.key for f in search_fields(fields, "PEAK learning")}
    assert search_fields(fields, "") == fields and search_fields(fields, "no such words") == []


@pytest.mark.parametrize("key", ["train.betas", "train.lr", "train.steps", "masking.stratified", "text.t5"])
def test_a_shown_value_can_be_assigned_as_it_is(key):
    config = preset("tiny")
    (field,) = (f for f in config_fields(config) if f.key == key)
    assert override(config, [f"{key}={shown_value(field.value)}"]) == config
