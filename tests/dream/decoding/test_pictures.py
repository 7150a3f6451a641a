import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from dream.decoding.pictures import (
    ACCENT,
    INK,
    MARGIN,
    PAPER,
    SheetPanel,
    SheetRow,
    draw_sheet,
    enlarged_for_screen,
    enlargement,
    font,
    panel_rows,
    read_about,
    save_gif,
    save_png,
    wrap,
)
from dream.errors import InputError


def noise(side=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, side, side), dtype=np.uint8)


def colors(image):
    return {tuple(color) for color in np.unique(np.asarray(image).reshape(-1, 3), axis=0)}


def rgb(name):
    return tuple(int(name[i : i + 2], 16) for i in (1, 3, 5))


def test_small_pictures_are_enlarged_pixel_by_pixel_and_large_ones_left():
    assert [enlargement(side) for side in (30, 32, 64, 144, 256)] == [5, 5, 3, 1, 1]
    picture = noise()
    shown = np.asarray(enlarged_for_screen(picture))
    assert shown.shape == (150, 150, 3)
    assert np.array_equal(shown[2::5, 2::5], picture.transpose(1, 2, 0))


def test_a_sheet_shows_every_picture_inside_clean_margins():
    panels = [SheetPanel(noise(seed=i), f"caption {i}") for i in range(5)]
    sheet = np.asarray(draw_sheet(panel_rows(panels, 3), heading="a heading", footer="a footer"))
    for edge in (sheet[: MARGIN - 4], sheet[-MARGIN + 4 :], sheet[:, : MARGIN - 4], sheet[:, -MARGIN + 4 :]):
        assert (edge == rgb(PAPER)).all()
    for panel in panels:
        shown = np.asarray(enlarged_for_screen(panel.picture))
        windows = (
            sheet[i : i + 150, MARGIN + column * 164 :][:, :150] for column in range(3) for i in range(len(sheet))
        )
        assert any(np.array_equal(window, shown) for window in windows)


def test_the_chosen_candidate_is_framed_and_a_dropped_one_crossed_out_but_well_seen():
    plain, chosen, dropped = (
        draw_sheet([SheetRow([SheetPanel(np.zeros((3, 30, 30), np.uint8), **options)])])
        for options in ({}, {"chosen": True}, {"dropped": True})
    )
    assert rgb(ACCENT) in colors(chosen) - colors(plain)
    assert (0, 0, 0) in colors(plain) and (0, 0, 0) not in colors(dropped)
    assert rgb(INK) in colors(dropped) - colors(plain)
    darkest = [min(sum(map(int, one)) for one in colors(sheet)) for sheet in (plain, dropped)]
    assert darkest[1] - darkest[0] < 0.3 * 3 * 255


def test_long_and_odd_captions_stay_inside():
    text = "a very long caption " * 30 + "donaudampfschifffahrtsgesellschaftskapitän" * 3
    lines = wrap(text, font(13), 150)
    assert len(lines) == 3 and lines[-1].endswith("…")
    assert all(font(13).getlength(line) <= 150 for line in lines)
    draw_sheet([SheetRow([SheetPanel(noise(), "flag: Côte d’Ivoire 🇨🇮 ☺ \n\t")], "")])


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        draw_sheet([SheetRow([])])


def test_a_png_tells_how_it_was_made(tmp_path):
    about = {"prompt": "a “red” circle ☺", "seed": 3, "settings": {"steps": 16, "select_steps": [4]}, "score": 0.25}
    save_png(enlarged_for_screen(noise()), tmp_path / "new" / "a.png", about)
    assert read_about(tmp_path / "new" / "a.png") == about
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]


def test_other_files_tell_nothing(tmp_path):
    enlarged_for_screen(noise()).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    save_png(enlarged_for_screen(noise()), tmp_path / "ours.png", {"prompt": "x"})
    content = (tmp_path / "ours.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    for name in ("plain.png", "text.png", "cut.png"):
        with pytest.raises(InputError):
            read_about(tmp_path / name)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    save_png(enlarged_for_screen(noise()), tmp_path / "a.png", {"prompt": "old"})
    with pytest.raises(TypeError):
        save_png(enlarged_for_screen(noise()), tmp_path / "a.png", {"prompt": object()})
    assert read_about(tmp_path / "a.png") == {"prompt": "old"}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_gif_has_every_frame_and_holds_the_last(tmp_path):
    frames = [draw_sheet([SheetRow([SheetPanel(noise(seed=i))])], progress=i / 3) for i in range(4)]
    save_gif(frames, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 4
        times = []
        for frame in range(4):
            gif.seek(frame)
            times.append(gif.info["duration"])
    assert times[-1] > times[0] == times[1]


def test_a_png_whose_texts_pillow_cannot_give_is_refused(tmp_path, monkeypatch):
    def fail(_: PngImagePlugin.PngImageFile) -> None:
        raise AssertionError  # as Pillow does for some damaged files

    save_png(Image.new("RGB", (4, 4)), tmp_path / "a.png", {"prompt": "a"})
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "text", property(fail))
    with pytest.raises(InputError, match="not a readable PNG"):
        read_about(tmp_path / "a.png")
