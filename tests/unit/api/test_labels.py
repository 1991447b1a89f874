from __future__ import annotations

import re
from types import ModuleType

import pytest

from rbgctrl.api import conditions, events, labels

_MODULES = (conditions, events, labels)
_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def _constants(module: ModuleType) -> dict[str, str]:
    return {name: value for name in module.__all__ if isinstance(value := getattr(module, name), str)}


@pytest.mark.parametrize("module", _MODULES, ids=lambda module: module.__name__)
def test_every_constant_is_public_and_every_public_name_exists(module: ModuleType) -> None:
    defined = {name for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}
    assert defined == set(_constants(module))


def test_every_label_and_annotation_key_is_one_kubernetes_accepts() -> None:
    keys = [value for value in _constants(labels).values() if "/" in value and value.count("/") == 1]
    for key in keys:
        assert key.endswith(("/", "-")) or _KEY.fullmatch(key)


def test_no_two_label_keys_are_the_same() -> None:
    keys = [value for value in _constants(labels).values() if value.startswith(labels.PREFIX)]
    assert len(keys) == len(set(keys))
