"""Every code block of the tutorial, run in order from a fresh folder, prints what the text says."""

from pathlib import Path

import pytest

from recsys_tf.tutorial.chapters import chapter_names
from recsys_tf.tutorial.refreshing import check_chapter
from recsys_tf.tutorial.running import lay_out

# Chapter 5 trains what the later ones use.
_BUILT_UPON = "05-project"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tutorial")
    lay_out(place)
    return place


@pytest.mark.parametrize("name", chapter_names())
def test_the_chapter_says_what_its_blocks_print(name: str, workplace: Path) -> None:
    if name > _BUILT_UPON and not (workplace / "data" / "runs" / "all").exists():
        check_chapter(_BUILT_UPON, workplace)
    assert check_chapter(name, workplace) == []
