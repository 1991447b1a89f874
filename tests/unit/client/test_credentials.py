"""Token files and plugin credentials over time; virtual seconds."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rbgctrl.client import errors
from rbgctrl.client.credentials import Anonymous, ClientCertificate, FixedHeader, Reloaded, TokenFile, bearer
from rbgctrl.client.execplugin import ExecCredentials
from rbgctrl.clock import rfc3339
from rbgctrl.sim.loop import run

START = datetime(2024, 1, 1, tzinfo=UTC)
V1 = "client.authentication.k8s.io/v1"


class Plugin:
    """Prints what it is told to, in turn; counts how often and how many at once it ran."""

    command = ("plugin",)
    api_version = V1

    def __init__(self, *answers: Any, takes: float) -> None:
        self.answers = list(answers)
        self.takes = takes
        self.runs = self.running = self.most = 0

    async def run(self) -> bytes:
        self.runs += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.running -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": answer}).encode()


def token(value: str, *, expires: float | None = None) -> dict[str, str]:
    if expires is None:
        return {"token": value}
    return {"token": value, "expirationTimestamp": rfc3339(START + timedelta(seconds=expires))}


def wall_clock() -> datetime:
    return START + timedelta(seconds=asyncio.get_running_loop().time())


def credentials(*answers: Any, takes: float = 1.0) -> tuple[ExecCredentials, Plugin]:
    plugin = Plugin(*answers, takes=takes)
    return ExecCredentials(plugin, now=wall_clock), plugin  # type: ignore[arg-type]  # a fake


def test_a_token_file_is_read_again_after_a_minute_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")

    async def main() -> list[str | None]:
        file = TokenFile(path)
        found = [await file.header()]
        path.write_text("two")
        await asyncio.sleep(59)
        found.append(await file.header())
        await asyncio.sleep(1)
        found.append(await file.header())
        return found

    assert run(main()) == ["Bearer one", "Bearer one", "Bearer two"]


def test_a_token_file_is_read_at_once_when_its_token_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")

    async def main() -> None:
        file = TokenFile(path)
        assert not await file.renew("Bearer one")
        path.write_text("two")
        assert await file.renew("Bearer one")
        assert await file.renew("Bearer one")  # somebody else noticed it first
        assert await file.header() == "Bearer two"

    run(main())


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("  \n")])
def test_a_token_stays_in_use_when_its_file_cannot_be_read_any_more(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "token"
    path.write_text("one")

    async def main() -> None:
        file = TokenFile(path)
        await file.header()
        spoil(path)
        await asyncio.sleep(61)
        assert await file.header() == "Bearer one"
        path.write_text("two")
        await asyncio.sleep(60)
        assert await file.header() == "Bearer two"

    run(main())


@pytest.mark.parametrize("content", ["", "\n", "a\nb", "a b", "ä"])
def test_a_token_file_without_a_usable_token_is_a_config_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(errors.ConfigError, match="token"):
        TokenFile(tmp_path / "token")


def test_a_token_that_cannot_be_a_header_is_refused_without_showing_it() -> None:
    with pytest.raises(errors.ConfigError, match="one line without spaces") as caught:
        bearer("s3cret\ns3cret")
    assert "s3cret" not in str(caught.value)


def test_fixed_credentials_never_help_after_a_refusal() -> None:
    async def main() -> None:
        assert await Anonymous().header() is None
        assert not await Anonymous().renew(None)
        assert await FixedHeader("Basic x").header() == "Basic x"
        assert not await FixedHeader("Basic x").renew("Basic x")

    run(main())


def test_a_plugin_runs_at_the_first_request_and_only_once_for_many() -> None:
    async def main() -> None:
        found, plugin = credentials(token("one"))
        assert await asyncio.gather(*(found.header() for _ in range(10))) == ["Bearer one"] * 10
        await asyncio.sleep(100_000)
        assert await found.header() == "Bearer one"
        assert plugin.runs == 1

    run(main())


def test_a_token_is_renewed_before_it_expires_by_one_while_others_go_on() -> None:
    async def main() -> None:
        found, plugin = credentials(token("one", expires=3600), token("two", expires=7200), takes=2)
        await found.header()
        await asyncio.sleep(3600 - 2 - 301)
        assert await found.header() == "Bearer one"
        await asyncio.sleep(2)
        loop = asyncio.get_running_loop()
        before = loop.time()
        renewing = asyncio.create_task(found.header())
        await asyncio.sleep(0)
        assert await found.header() == "Bearer one"
        assert loop.time() == before  # did not wait for the plugin
        assert await renewing == "Bearer two"
        assert (plugin.runs, plugin.most) == (2, 1)

    run(main())


def test_a_short_lived_token_is_kept_for_most_of_its_life() -> None:
    async def main() -> None:
        found, plugin = credentials(*(token(str(number), expires=60 * (number + 1)) for number in range(5)), takes=0)
        await found.header()
        await asyncio.sleep(47)
        await found.header()
        assert plugin.runs == 1
        await asyncio.sleep(2)
        await found.header()
        assert plugin.runs == 2

    run(main())


def test_nobody_uses_a_token_that_has_expired_while_the_plugin_runs() -> None:
    async def main() -> None:
        found, plugin = credentials(token("one", expires=3600), token("two", expires=7200), takes=2)
        await found.header()
        await asyncio.sleep(4000)
        assert set(await asyncio.gather(found.header(), found.header())) == {"Bearer two"}
        assert plugin.runs == 2

    run(main())


def test_a_failing_plugin_keeps_the_old_token_until_it_expires() -> None:
    failure = errors.ConfigError("plugin failed")

    async def main() -> None:
        found, plugin = credentials(token("one", expires=3600), failure, takes=0)
        await found.header()
        await asyncio.sleep(3400)
        assert await found.header() == "Bearer one"
        assert await found.header() == "Bearer one"
        assert plugin.runs == 2  # not asked again at once
        await asyncio.sleep(300)
        with pytest.raises(errors.ConfigError, match="plugin failed"):
            await found.header()

    run(main())


def test_a_plugin_that_never_worked_is_not_started_for_each_request() -> None:
    async def main() -> None:
        found, plugin = credentials(errors.ConfigError("plugin failed"), token("one"), takes=0)
        for _ in range(5):
            with pytest.raises(errors.ConfigError, match="plugin failed"):
                await found.header()
        assert plugin.runs == 1
        plugin.answers = [token("one")]
        await asyncio.sleep(10)
        assert await found.header() == "Bearer one"

    run(main())


def test_a_rejected_token_makes_the_plugin_run_once_for_all_who_were_refused() -> None:
    async def main() -> None:
        found, plugin = credentials(token("one"), token("two"))
        first = await found.header()
        await asyncio.sleep(11)
        assert await asyncio.gather(*(found.renew(first) for _ in range(5))) == [True] * 5
        assert await found.header() == "Bearer two"
        assert plugin.runs == 2

    run(main())


def test_a_token_that_is_always_rejected_does_not_make_the_plugin_run_all_the_time() -> None:
    async def main() -> None:
        found, plugin = credentials(token("one"), takes=0)
        header = await found.header()
        for _ in range(20):
            assert not await found.renew(header)
            await asyncio.sleep(1)
        assert plugin.runs == 2

    run(main())


def test_a_renewal_that_fails_is_a_refusal_and_not_a_crash() -> None:
    async def main() -> None:
        found, _ = credentials(token("one"), errors.ConfigError("plugin failed"), takes=0)
        header = await found.header()
        await asyncio.sleep(11)
        assert not await found.renew(header)
        assert await found.header() == "Bearer one"

    run(main())


def test_a_certificate_from_a_plugin_is_handed_out_and_renewed() -> None:
    def certificate(name: str) -> dict[str, str]:
        return {"clientCertificateData": name, "clientKeyData": "k"}

    async def main() -> None:
        found, _ = credentials(certificate("one"), certificate("two"), takes=0)
        assert await found.header() is None
        assert found.certificate == ClientCertificate(b"one", b"k")
        await asyncio.sleep(11)
        assert await found.renew(None)
        assert found.certificate == ClientCertificate(b"two", b"k")
        assert "two" not in repr(found.certificate)

    run(main())


def test_a_token_that_looks_expired_is_used_because_our_clock_may_be_wrong() -> None:
    async def main() -> None:
        found, plugin = credentials(token("one", expires=-50), takes=0)
        assert await found.header() == "Bearer one"
        assert await found.header() == "Bearer one"
        assert plugin.runs == 1

    run(main())


def test_a_provider_is_asked_at_the_start_and_after_a_refusal_with_pauses() -> None:
    loads = 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        await asyncio.sleep(1)
        if loads == 3:
            raise errors.ConfigError("log in again")
        return f"Bearer {loads}"

    async def main() -> None:
        found = Reloaded(load)
        assert set(await asyncio.gather(found.header(), found.header())) == {"Bearer 1"}
        assert not await found.renew("Bearer 1")  # it was loaded a moment ago
        await asyncio.sleep(10)
        assert await found.renew("Bearer 1")
        assert await found.renew("Bearer 1")
        await asyncio.sleep(10)
        assert not await found.renew("Bearer 2")
        assert await found.header() == "Bearer 2"

    run(main())
