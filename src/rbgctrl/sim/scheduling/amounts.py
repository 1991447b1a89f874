"""What pods ask for, in whole units: milli-CPUs, bytes, devices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any, Final

__all__ = ["CPU", "EPHEMERAL_STORAGE", "MEMORY", "PODS", "amount", "resource_list", "scored_requests", "total_requests"]

CPU: Final = "cpu"
MEMORY: Final = "memory"
EPHEMERAL_STORAGE: Final = "ephemeral-storage"
PODS: Final = "pods"
_LEAST_CPU: Final = 100
_LEAST_MEMORY: Final = 200 * 1024 * 1024
_QUANTITY = re.compile(r"([+-]?[0-9.]+)([eE][+-]?[0-9]+)?([a-zA-Z]*)")
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


@lru_cache(maxsize=4096)
def amount(text: str | int | float, *, milli: bool = False) -> int:
    """A quantity in whole units (or thousandths), rounded up as Kubernetes rounds.

    Args:
        text: e.g. ``"1.5Gi"``, ``"250m"``, ``8``.
        milli: count thousandths.

    Raises:
        ValueError: it is no quantity.
    """
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None or (suffix := match[3]) not in _BINARY | _DECIMAL:
        msg = f"{text!r} is not a quantity"
        raise ValueError(msg)
    unit = Fraction(2) ** _BINARY[suffix] if suffix in _BINARY else Fraction(10) ** _DECIMAL[suffix]
    return ceil(Fraction(match[1] + (match[2] or "")) * unit * (1000 if milli else 1))


def resource_list(amounts: Mapping[str, Any] | None) -> dict[str, int]:
    """``allocatable``, ``requests`` and their like: CPU in thousandths, everything else in whole units."""
    return {name: amount(value, milli=name == CPU) for name, value in (amounts or {}).items()}


def total_requests(pod: Mapping[str, Any]) -> dict[str, int]:
    """What a pod takes from its node.

    Containers and side-cars add up; an init container runs alone beside the side-cars started before it, so only the
    largest counts; what the pod as a whole asks for replaces the sum; overhead comes on top.
    """
    return _total(pod["spec"], {})


def scored_requests(pod: Mapping[str, Any]) -> tuple[int, int]:
    """CPU and memory as the scheduler scores them: a container that asks for none counts as a small one."""
    found = _total(pod["spec"], {CPU: _LEAST_CPU, MEMORY: _LEAST_MEMORY})
    return found.get(CPU, 0), found.get(MEMORY, 0)


def _total(spec: Mapping[str, Any], least: Mapping[str, int]) -> dict[str, int]:
    found = _sum(_requests(container, least) for container in spec.get("containers") or ())
    side_cars: dict[str, int] = {}
    largest: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = _requests(container, least)
        if container.get("restartPolicy") == "Always":
            side_cars = _sum((side_cars, own))
            own = side_cars
        else:
            own = _sum((side_cars, own))
        largest = {name: max(largest.get(name, 0), own.get(name, 0)) for name in largest.keys() | own.keys()}
    found = _sum((found, side_cars))
    found = {name: max(found.get(name, 0), largest.get(name, 0)) for name in found.keys() | largest.keys()}
    found |= resource_list((spec.get("resources") or {}).get("requests"))
    if spec.get("overhead"):
        found = _sum((found, resource_list(spec["overhead"])))
    return found


def _requests(container: Mapping[str, Any], least: Mapping[str, int]) -> dict[str, int]:
    resources = container.get("resources") or {}
    # The API server fills in requests from limits; objects made without it are read the same way.
    return {**least, **resource_list(resources.get("limits")), **resource_list(resources.get("requests"))}


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
