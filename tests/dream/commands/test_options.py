"""The options that commands share: one name, one default and one wording for each."""

import argparse

import pytest
import torch

from dream.__main__ import CommandParser
from dream.commands import options
from dream.errors import InputError


def test_raw_weights_are_asked_for_by_either_name():
    parser = CommandParser()
    options.add_raw(parser)
    assert parser.parse_all(["--raw"]) == parser.parse_all(["--raw-weights"])
    assert "--raw-weights" not in parser.format_help()


def test_a_number_below_its_least_is_named_by_its_option():
    args = argparse.Namespace(seed=0, num_nodes=0, steps=None)
    options.require_at_least(args, 0, "seed", "steps")
    with pytest.raises(InputError, match="--num-nodes must be at least 1, got 0"):
        options.require_at_least(args, 1, "num_nodes", "steps")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert options.open_device("auto") == options.open_device("cpu") == torch.device("cpu")
    for name, said in (("cuda", "torch sees no CUDA device"), ("tpu", "must be one of auto, cpu, cuda")):
        with pytest.raises(InputError, match=said):
            options.open_device(name)
