"""The front-end as files: one module, no outside address, one offline page, one widget."""

import html
import json
import re
import shutil
import subprocess

import pytest
import traitlets

from dream.errors import InputError
from tests.workbench.player.synthetic import ALL, compare_data, decode_data
from workbench.player import SCRIPTS, player_css, player_html, player_script
from workbench.player.widget import DecodePlayer

NODE = shutil.which("node")


def test_the_script_stands_alone_and_exports_mount_once():
    script = player_script()
    assert not re.search(r"^\s*import\b", script, re.MULTILINE) and "import(" not in script
    assert re.findall(r"^export .*", script, re.MULTILINE) == ["export { mount };"]


def test_a_file_uses_only_those_before_it():
    for i, name in enumerate(SCRIPTS):
        from importlib.resources import files

        text = files("workbench.player").joinpath(f"{name}.js").read_text()
        assert set(re.findall(r'from "\./(\w+)\.js"', text)) <= set(SCRIPTS[:i])


def test_no_two_files_name_the_same_thing():
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", player_script(), re.MULTILINE)
    assert len(names) == len(set(names))


def test_nothing_in_it_names_an_outside_address():
    text = player_script() + player_css()
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in text and "url(http" not in text and "fetch(" not in text


@pytest.mark.skipif(NODE is None, reason="node is not installed; the browser tests read the script too")
def test_the_script_is_javascript(tmp_path):
    (tmp_path / "player.mjs").write_text(player_script())
    ended = subprocess.run([NODE, "--check", tmp_path / "player.mjs"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("mode", ALL)
def test_the_page_holds_its_data_and_needs_nothing_else(mode):
    page = player_html(ALL[mode](), "A page")
    held = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert held and json.loads(held[1]) == json.loads(json.dumps(ALL[mode]()))
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_words_cannot_break_out_of_the_page():
    evil = "</script><script>alert(1)</script><!--"
    page = player_html(decode_data() | {"title": evil}, evil)
    assert evil not in page and html.escape(evil) in page
    assert page.count("<script") == 2


def test_a_page_of_wrong_data_is_not_made():
    with pytest.raises(InputError):
        player_html({"mode": "player"}, "A page")


def test_the_widget_holds_data_event_and_step():
    widget = DecodePlayer(data=compare_data())
    assert {"data", "event", "step"} <= set(widget.traits(sync=True))
    assert "export default { render }" in DecodePlayer._esm if isinstance(DecodePlayer._esm, str) else True
    widget.data = decode_data()
    assert widget.data["mode"] == "player"


def test_the_widget_refuses_wrong_data():
    with pytest.raises((InputError, traitlets.TraitError)):
        DecodePlayer(data={"mode": "player"})
