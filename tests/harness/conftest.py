"""The example greenhouse, and what makes its model."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

GREENHOUSE = Path(__file__).parents[2] / "examples" / "greenhouse"


@pytest.fixture(scope="session")
def greenhouse() -> Path:
    return GREENHOUSE


@pytest.fixture(scope="session")
def onnx() -> ModuleType:
    """Writes models: `field`, `tensor`, `described`, `node`, `model`, `train`."""
    spec = importlib.util.spec_from_file_location("make_model", GREENHOUSE / "make_model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
