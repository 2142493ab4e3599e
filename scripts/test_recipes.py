"""Recipes: their anchors are in the code, the README has their steps, and a step that can be
forgotten is found."""
import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

LOADER = importlib.machinery.SourceFileLoader("recipes", str(Path(__file__).parent / "recipes"))
recipes = importlib.util.module_from_spec(importlib.util.spec_from_loader("recipes", LOADER))
LOADER.exec_module(recipes)


@pytest.mark.parametrize("name", recipes.load())
def test_every_step_can_be_applied(name):
    texts = {}
    for step in recipes.load([name])[name]["step"]:
        file = recipes.ROOT / step["file"]
        if "content" in step:
            assert not file.exists(), step["file"]
        for edit in step.get("edit", []):
            text = texts.get(file) or file.read_text()
            anchor = edit.get("after") or edit["before"]
            assert text.count(anchor) == 1, f"{step['what']}: {anchor}"
            both = anchor + edit["insert"] if "after" in edit else edit["insert"] + anchor
            texts[file] = text.replace(anchor, both)


def test_the_readme_has_the_steps():
    text = recipes.README.read_text()
    between = text.split(recipes.BEGIN)[1].split(recipes.END)[0]
    assert between == recipes.steps_in_words(recipes.load()), "Run: scripts/recipes --write"


@pytest.mark.parametrize("check, is_kept", [
    ("test $(grep -c '[12]' list) = 2", True),
    ("grep -q 1 list", False),  # leaves step 2 unchecked
])
def test_a_step_that_can_be_forgotten_is_found(tmp_path, monkeypatch, capsys, check, is_kept):
    for folder in ("root", "copy"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "list").write_text("0\n")
    monkeypatch.setattr(recipes, "ROOT", tmp_path / "root")
    monkeypatch.setattr(recipes, "COPY", tmp_path / "copy")
    insert = [{"what": f"insert {text}", "file": "list",
               "edit": [{"after": "0\n", "insert": f"{text}\n"}]} for text in (1, 2)]
    recipe = {"title": "Count", "check": [check], "step": insert}
    assert recipes.run("count", recipe) is is_kept
    assert ("without 2: insert 2: passes  NOT AS EXPECTED" in capsys.readouterr().out) != is_kept
