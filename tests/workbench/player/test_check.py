"""The player's data: what is right is taken in every mode, what is wrong is named."""

import copy
import json

import pytest

from dream.errors import InputError
from tests.workbench.player.synthetic import ALL, cells_data, compare_data, decode_data, race_data
from workbench.player import check_player_data


@pytest.mark.parametrize("mode", ALL)
def test_data_of_every_mode_is_taken_and_is_json(mode):
    data = json.loads(json.dumps(ALL[mode](), allow_nan=False))
    assert data["mode"] == mode
    check_player_data(data)


def test_what_may_be_missing_may_be_none():
    nothing = dict.fromkeys(("rests", "words", "cross", "self", "paths", "path_values"))
    check_player_data(decode_data() | nothing)
    check_player_data(decode_data(given=7))


def test_tokens_still_to_come_point_behind_the_last_step():
    data = decode_data(steps=4)
    for name in ("steps", "frames", "rests"):
        data[name] = data[name][:2]
    check_player_data(data | {"order": [min(at, 2) for at in data["order"]]})
    check_player_data(data)
    with pytest.raises(InputError, match="order"):
        check_player_data(data | {"order": [1 if at == 2 else at for at in data["order"]]})


def test_nothing_may_be_chosen_yet():
    check_player_data(race_data() | {"chosen": -1, "select": []})


WRONG = [
    (decode_data, {"mode": "film"}, "mode must be one of"),
    (decode_data, {"title": 3}, "title must be text"),
    (decode_data, {"size": 0}, "size must be an integer"),
    (decode_data, {"grid": 4}, "must hold different numbers|must be a list of 16"),
    (decode_data, {"steps": []}, "non-empty"),
    (decode_data, {"frames": []}, "frames must be a list of 8, got 0"),
    (decode_data, {"frames": ["https://example.org/a.png"] * 8}, r"frames\[0\] must be a PNG data URL"),
    (decode_data, {"rests": ["data:image/gif;base64,AA"] * 8}, "rests"),
    (decode_data, {"order": [0] * 25}, "order"),
    (decode_data, {"words": None}, "both be given"),
    (decode_data, {"cross": "AAAA"}, "cross must be base64 of 225 bytes, got 3"),
    (decode_data, {"self": "no base64!"}, "self must be base64"),
    (decode_data, {"path_values": [[1.0]] * 25}, r"path_values\[0\] must be a list of 8"),
    (decode_data, {"path_values": [[float("nan")] * 8] * 25}, "must be numbers"),
    (decode_data, {"colour": "red"}, "#rrggbb"),
    (decode_data, {"at": 8}, r"at must be in \[0, 7\] or None, got 8"),
    (race_data, {"select": [8]}, "select"),
    (race_data, {"chosen": 9}, "chosen must be one of"),
    (race_data, {"candidates": []}, "non-empty"),
    (race_data, {"at": 8}, "at must be in"),
    (race_data, {"choose": {"at": 8, "now": 0, "picks": [0] * 8, "times": [1.0] * 8}}, "choose.at"),
    (race_data, {"choose": {"at": 0, "now": -1, "picks": [0] * 8, "times": [1.0] * 8}}, "choose.now"),
    (race_data, {"choose": {"at": 0, "now": 0, "picks": [9] * 8, "times": [1.0] * 8}}, "choose.picks must be numbers"),
    (race_data, {"choose": {"at": 0, "now": 0, "picks": [0] * 8, "times": [1.0] * 7}}, "choose.times"),
    (cells_data, {"cells": [25]}, "cells"),
    (cells_data, {"cells": [1, 1]}, "different"),
    (cells_data, {"verb": "wipe"}, "keep or clear"),
    (compare_data, {"b": None}, "b must be a PNG"),
    (compare_data, {"label_a": None}, "label_a must be text"),
]


@pytest.mark.parametrize(("make", "change", "said"), WRONG)
def test_what_is_wrong_is_named(make, change, said):
    with pytest.raises(InputError, match=said):
        check_player_data(make() | change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": 0}, "in \\[1, of\\]"),
        ({"step": 9}, "in \\[1, of\\]"),
        ({"decoded": 1.2}, "decoded"),
        ({"guidance": None}, "guidance"),
        ({"alignment": float("nan")}, "alignment"),
        ({"revealed": [99]}, "revealed"),
    ],
)
def test_a_wrong_step_is_named(change, said):
    data = copy.deepcopy(decode_data())
    data["steps"][0] |= change
    with pytest.raises(InputError, match=said):
        check_player_data(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"alive": 9}, "alive"),
        ({"alive": 2}, "frames must be a list of 2"),
        ({"number": 1}, "different numbers"),
        ({"colour": "#12345"}, "colour"),
        ({"alignment": [True] * 4}, "alignment"),
        ({"right": "yes"}, "right"),
    ],
)
def test_a_wrong_candidate_is_named(change, said):
    data = race_data()
    data["candidates"][0] |= change
    with pytest.raises(InputError, match=said):
        check_player_data(data)


@pytest.mark.parametrize("data", [None, [], "player"])
def test_what_is_no_dict_is_refused(data):
    with pytest.raises(InputError, match="dict"):
        check_player_data(data)
