"""The audit log is read as requests, each once."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hack.controlplane import audit


def _line(verb: str, stage: str = "ResponseComplete", resource: str = "pods", **ref: str) -> bytes:
    event = {
        "kind": "Event",
        "stage": stage,
        "verb": verb,
        "requestURI": f"/api/v1/{resource}",
        "user": {"username": "somebody", "groups": ["a"]},
        "userAgent": "agent/1",
        "objectRef": {"resource": resource, **ref},
        "responseStatus": {"metadata": {}, "code": 200},
    }
    return msgspec.json.encode(event) + b"\n"


def test_a_request_tells_who_what_and_how_it_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(_line("patch", resource="things", apiGroup="example.com", subresource="status"))
    [event] = audit.read_events(log)
    assert (event.username, event.resource, event.code) == ("somebody", "things.example.com/status", 200)
    assert event.is_write


def test_each_request_counts_once_however_many_stages_it_logged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stages = [("watch", "ResponseStarted"), ("watch", "ResponseComplete"), ("list", "ResponseComplete")]
    log.write_bytes(b"".join(_line(verb, stage) for verb, stage in stages))
    assert [(e.verb, e.stage) for e in audit.read_events(log)] == [stages[0], stages[2]]
    assert not any(e.is_write for e in audit.read_events(log))


def test_a_mark_hides_what_was_logged_before_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert audit.size(log) == 0
    log.write_bytes(_line("get"))
    mark = audit.size(log)
    with log.open("ab") as file:
        file.write(_line("create"))
    assert [e.verb for e in audit.read_events(log, mark)] == ["create"]


def test_a_line_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(_line("get") + _line("create")[:40])
    assert [e.verb for e in audit.read_events(log)] == ["get"]


def test_no_log_is_no_request(tmp_path: Path) -> None:
    assert list(audit.read_events(tmp_path / "none")) == []


def test_paths_without_a_resource_are_read_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b'{"stage":"ResponseComplete","verb":"get","requestURI":"/readyz"}\n')
    [event] = audit.read_events(log)
    assert event.resource == ""
