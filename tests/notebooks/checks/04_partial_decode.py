"""Slider, player and result agree at every step; what is kept is kept to the bit."""

# ruff: noqa: F821 - the names are those of the notebook

record = record_of(stored)
for step in player.player.data["steps"]:
    player.controls["step"].value = step["step"]
    shown = player.result
    assert player.player.step == step["step"] - 1 and shown.revealed == tuple(step["revealed"])
    assert np.array_equal(shown.mask.ravel(), record.mask[step["step"] - 1, 0])
    assert shown.mask.sum() == round(25 * (1 - shown.decoded))
player.player.step = 3  # the reader moves the player's own slider
assert player.controls["step"].value == player.result.step == 4
assert not player.running and player.player.data["rests"] is not None

player.controls["token"].value = 7
words = player.result.token.words.set_index("word")["share"]
assert abs(words.sum() - 1) < 1e-9 and words["red"] > words["blue"] and words["circle"] > words["square"]
assert abs(player.result.token.places.sum() - 1) < 1e-9

assert player.order.data[0].z.shape == (5, 5) and sorted(player.order.data[0].z.ravel())[-1] == 16
assert sum(player.course.data[0].y) == 25

pictures = [final_picture(record_of(one)) for one in guided.values()]
assert np.array_equal(pictures[1], final_picture(record))  # guidance 2 is the decode itself
assert not np.array_equal(pictures[0], pictures[3])
assert np.array_equal(before.tokens[0, 0, kept], after.tokens[0, 0, kept]) and kept.sum() == 6

given = record_of(filled).given()
assert given.kept.nonzero().ravel().tolist() == board.cells == list(range(10))
board.cells = [0, 1]
assert KeptPicture(drawn, tuple(board.cells)).kept == (0, 1)
assert extended.given().kept.nonzero().ravel().tolist() == list(middle)
assert np.array_equal(extended.tokens[0, 0, list(middle)], record.tokens[0, 0, list(middle)])

heart_tokens = record_of(heart).tokens[0, 0, list(left)]
for half in painted.values():
    assert np.array_equal(record_of(half).tokens[0, 0, list(left)], heart_tokens)
assert len({final_picture(record_of(half)).tobytes() for half in painted.values()}) == 3
assert beating.player.data["rests"] is not None and len(rests) == 8
