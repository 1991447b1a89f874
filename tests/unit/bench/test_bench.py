"""What the benchmarks print and write, and that the stream they measure arrives whole."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bench import __main__ as command
from bench import pods
from bench.consumer import WAYS
from bench.feed import serve
from bench.memory import tracked
from bench.report import Row, show
from rbgctrl.api.core import Pod
from rbgctrl.client.decode import Invalid, decoder

COUNT = Row(bench="group", what="requests", value=0, budget="0", exact=True, met=True)
RATE = Row(bench="pipeline", what="the whole way", value=1234.5, unit="events/s", budget=">= 40,000", met=False)
SHARE = Row(bench="pipeline", what="in units", value=1.256, unit="x")


@pytest.fixture
def stream() -> Iterator[str]:
    """The URL of a feed of 100 pods, each of which changes twice."""
    with serve("plain", 100, 2) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def printed(*rows: Row) -> list[str]:
    out = io.StringIO()
    show(rows, Console(file=out, width=160))
    return out.getvalue().splitlines()


def test_the_table_is_plain_text_where_there_is_no_terminal() -> None:
    head, count, rate, share = printed(COUNT, RATE, SHARE)
    assert head.split() == ["benchmark", "what", "value", "unit", "budget", "met"]
    assert count.split() == ["group", "requests", "0", "0", "yes"]
    assert rate.split() == ["pipeline", "the", "whole", "way", "1,234", "events/s", ">=", "40,000", "NO"]
    assert share.split() == ["pipeline", "in", "units", "1.26", "x"]
    assert "\x1b" not in head + count + rate + share


@pytest.mark.parametrize(
    ("rows", "code"),
    [([COUNT, RATE, SHARE], 0), ([COUNT, msgspec.structs.replace(COUNT, value=1, met=False)], 1), ([], 0)],
)
def test_only_a_wrong_count_makes_the_exit_code_1(
    rows: list[Row], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "BENCHES", {"fake": command.Bench(run=lambda _: rows, about="")})
    assert command.main([]) == code
    assert capsys.readouterr().out.count("\n") == 1 + len(rows)


def test_json_holds_every_row_with_all_its_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BENCHES", {"fake": command.Bench(run=lambda _: [COUNT, RATE], about="")})
    out = tmp_path / "rows.json"
    command.main(["fake", "--json", str(out)])
    count, rate = msgspec.json.decode(out.read_bytes())
    assert count == {
        "bench": "group", "what": "requests", "value": 0.0, "unit": "", "budget": "0", "exact": True, "met": True,
    }  # fmt: skip
    assert rate["met"] is False
    assert msgspec.json.decode(out.read_bytes(), type=list[Row]) == [COUNT, RATE]


def test_the_short_form_leaves_out_what_takes_long_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, bool]] = []

    def fake(name: str, *, always: bool) -> command.Bench:
        def run(short: bool) -> list[Row]:
            ran.append((name, short))
            return []

        return command.Bench(run=run, about="", always=always)

    monkeypatch.setattr(command, "BENCHES", {"a": fake("a", always=True), "b": fake("b", always=False)})
    command.main(["--short"])
    command.main([])
    command.main(["--short", "b"])
    assert ran == [("a", True), ("a", False), ("b", False), ("b", True)]


def test_help_says_what_each_benchmark_measures(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out and bench.about in out for name, bench in command.BENCHES.items())


def test_a_name_that_is_none_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["pipelin"])
    assert end.value.code == 2
    assert "there is no benchmark 'pipelin'; there are pipeline, memory" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["pipeline", "each", "daemon", "framing", "decoding", "unit"])
async def test_every_event_of_the_stream_is_read(way: str, stream: str) -> None:
    async with asyncio.timeout(20):
        spent = await WAYS[way](stream, 100, 2)
    assert spent.events == 200
    assert spent.best > 0
    if way == "each":
        assert spent.reconciled == 200
    elif way in {"pipeline", "daemon"}:
        assert 100 <= spent.reconciled <= 200, "events of a key may merge, but its last one leads to a reconcile"


@pytest.mark.parametrize(("shape", "size"), [("plain", 4_300), ("own", 6_850)])
def test_the_pods_are_as_large_as_real_ones_and_decode(shape: str, size: int) -> None:
    lines = [pods.line("ADDED", shape, number, 1001 + number) for number in range(100)]
    assert all(abs(len(line) - size) < 60 for line in lines)
    found = [decoder(Pod).event(line).object for line in lines]
    assert not any(isinstance(pod, Invalid) for pod in found)
    assert len({pod.metadata.uid for pod in found if isinstance(pod, Pod)}) == 100
    gc.collect()  # it forgets tuples of untracked objects when it meets them
    assert sum(map(tracked, found)) == 0


def test_what_the_garbage_collector_looks_at_is_counted() -> None:
    assert tracked(({"a": ("b", [[]])},)) == 5, "a tuple, a dict, a tuple and two lists"
    assert tracked("text") == 0
