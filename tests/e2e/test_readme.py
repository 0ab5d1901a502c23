"""The README speaks of what is there."""

import importlib.util
import io
import re
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from opsbrief.cli import menu
from opsbrief.sources import kinds

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("readme", str(ROOT / "scripts" / "readme"))
    spec = importlib.util.spec_from_loader("readme", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(script: ModuleType) -> tuple[str, bytes]:
    page, graph = script.first_page()
    return page, graph


def test_the_first_page_is_the_demos(script: ModuleType, made: tuple[str, bytes]) -> None:
    assert script.readme(made[0]) == README, "run scripts/readme"


def test_the_graph_is_the_demos(made: tuple[str, bytes]) -> None:
    kept, drawn = (
        np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float)
        for data in ((ROOT / "examples/demo/key.png").read_bytes(), made[1])
    )
    assert kept.shape == drawn.shape
    # Releases of matplotlib and its fonts differ by a hair; another story differs by far more.
    assert np.abs(kept - drawn).mean() < 2, "run scripts/readme"


def test_every_command_and_every_source_is_told() -> None:
    for name in menu.names():
        assert re.search(rf"`[^`]*\b{name}\b[^`]*`|opsbrief {name}\b", README), name
    for kind in kinds():
        assert f"`{kind}`" in README, kind
