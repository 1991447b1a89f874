"""Annotations that hold a port: ``<pod>.<port>`` on a RoleInstance, ``<component>.<port>`` on a RoleInstanceSet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["is_port_key", "ports_in"]


def is_port_key(key: str) -> bool:
    """Whether an annotation of that key holds a port; other annotations have a prefix with a slash."""
    return "/" not in key and "." in key


def ports_in(annotations: Mapping[str, str]) -> Iterator[int]:
    """Every port that the annotations hold."""
    for key, value in annotations.items():
        if is_port_key(key) and value.isascii() and value.isdecimal() and len(value) <= 5:
            yield int(value)
