from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import aiohttp
import orjson
import pytest

from rbgctrl.api.conversion import V1ALPHA1, V1ALPHA2
from rbgctrl.api.meta import Key
from rbgctrl.client.transport import ApiRequest
from rbgctrl.runtime.probes import Address, ListenError
from rbgctrl.webhooks import SECRET, SERVICE, Webhooks
from rbgctrl.webhooks.certificates import CertificateOptions, Material, renewed, service_hosts
from unit.webhooks.world import HOST, NAMESPACE, START, World, caller, pair, running, until

_DAY = timedelta(days=1)
_GROUP = {"apiVersion": V1ALPHA2, "kind": "RoleBasedGroup", "metadata": {"name": "g"}, "spec": {"roles": []}}
_REVIEW = orjson.dumps(
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "request": {"uid": "u", "desiredAPIVersion": V1ALPHA1, "objects": [_GROUP]},
    }
)


async def test_a_replica_makes_certificates_serves_and_tells_the_api_server_whom_to_trust() -> None:
    world = World()
    replica = world.webhooks()
    assert replica.check() == "not started"
    async with running(replica):
        await until(world.spread)
        assert replica.check() == ""
        async with caller(replica.port, world.authorities()) as post:
            status, found = await post("/convert", _REVIEW)
        assert (status, found["response"]["result"]) == (200, {"status": "Success"})
        assert found["response"]["convertedObjects"][0]["apiVersion"] == V1ALPHA1
    assert replica.port is None


async def test_webhooks_of_others_in_the_same_configuration_are_not_touched() -> None:
    world = World()
    before = world.hooks()[1]
    async with running(world.webhooks()):
        await until(world.spread)
    assert world.hooks()[1] == before


async def test_replicas_that_start_together_share_one_secret_and_do_not_fight() -> None:
    world = World()
    replicas = [world.webhooks() for _ in range(4)]
    async with running(*replicas):
        await until(lambda: world.spread() and all(replica.check() == "" for replica in replicas))
        for replica in replicas:
            async with caller(replica.port, world.authorities()) as post:
                assert (await post("/convert", _REVIEW))[0] == 200
        written = world.writes()
        looks = _reads(world)
        await until(lambda: _reads(world) > looks + 12)
        assert world.writes() == written


def _reads(world: World) -> int:
    return sum(1 for entry in world.server.audit if _about_secret(entry.request) and entry.request.method == "GET")


def _about_secret(request: ApiRequest) -> bool:
    return request.key == Key(NAMESPACE, SECRET)


async def test_upstreams_certificates_are_adopted_as_they_are() -> None:
    world = World()
    theirs = renewed(Material(), service_hosts(SERVICE, NAMESPACE), START, CertificateOptions(), trusted=True).secret()
    del theirs["ca.key"]
    body = {"metadata": {"name": SECRET, "namespace": NAMESPACE}, "data": theirs}
    world.server.create("secrets", body, user="upstream")
    async with running(world.webhooks()):
        await until(world.spread)
        assert world.secret()["data"] == theirs


async def test_a_bundle_that_somebody_overwrites_comes_back() -> None:
    world = World()
    async with running(world.webhooks(interval=3600.0)):
        await until(world.spread)
        hook = {"name": "vrolebasedgroup.kb.io", "clientConfig": {"service": {"name": SERVICE, "namespace": NAMESPACE}}}
        resource = "validatingwebhookconfigurations.admissionregistration.k8s.io"
        key = Key("", "rbgs-validating-webhook-configuration")
        world.server.update(resource, key, lambda obj: {**obj, "webhooks": [hook]}, user="kubectl")
        assert not world.spread()
        await until(world.spread)


async def test_a_rotation_while_serving_breaks_no_connection_and_no_trust() -> None:
    world = World()
    options = CertificateOptions(authority=1000 * _DAY, serving=400 * _DAY)
    replicas = [world.webhooks(certificates=options) for _ in range(2)]
    world.now = START - 905 * _DAY  # the authority has to go soon before the present
    async with running(*replicas):
        await until(lambda: world.spread() and all(replica.check() == "" for replica in replicas))
        first = world.secret()["data"]["tls.crt"]
        world.now = START - 300 * _DAY
        await until(lambda: world.secret()["data"]["tls.crt"] != first)
        served = world.secret()["data"]["tls.crt"]
        old = world.authorities()
        await _until_served(world, *replicas)
        async with caller(replicas[0].port, old) as kept:
            assert (await kept("/convert", _REVIEW))[0] == 200
            world.now = START - 4 * _DAY
            await until(lambda: world.authorities().count(b"BEGIN") == 2 and world.spread())
            assert world.secret()["data"]["tls.crt"] == served
            async with caller(replicas[1].port, old) as post:
                assert (await post("/convert", _REVIEW))[0] == 200
            both = world.authorities()
            world.now += timedelta(minutes=11)
            await until(lambda: world.secret()["data"]["tls.crt"] != served)
            await _until_served(world, *replicas)
            for replica in replicas:
                async with caller(replica.port, both) as post:
                    assert (await post("/convert", _REVIEW))[0] == 200
            assert (await kept("/convert", _REVIEW))[0] == 200  # over the connection from before
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                async with caller(replicas[0].port, old) as post:
                    await post("/convert", _REVIEW)
            world.now += timedelta(minutes=11)
            await until(lambda: world.authorities().count(b"BEGIN") == 1 and world.spread())


async def _until_served(world: World, *replicas: Webhooks) -> None:
    wanted = base64.b64decode(world.secret()["data"]["tls.crt"])
    await until(lambda: all(replica._tls.loaded == wanted for replica in replicas))


async def test_a_directory_is_served_and_served_anew_when_it_changes(tmp_path: Path) -> None:
    world = World()
    hosts = service_hosts(SERVICE, NAMESPACE)
    first, second = (renewed(Material(), hosts, world.now, CertificateOptions(), trusted=True) for _ in range(2))
    replica = world.webhooks(cert_dir=tmp_path, write_bundles=False)
    async with running(replica):
        await until(lambda: "tls.crt and tls.key" in replica.check())
        pair(tmp_path, first.cert, first.key)
        await until(lambda: replica.check() == "")
        async with caller(replica.port, first.ca) as post:
            assert (await post("/convert", _REVIEW))[0] == 200
            (tmp_path / "tls.crt").write_bytes(second.cert)  # half of it: the old pair is served on
            assert (await post("/convert", _REVIEW))[0] == 200
            pair(tmp_path, second.cert, second.key)
            await until(lambda: replica._tls.loaded == second.cert)
            assert (await post("/convert", _REVIEW))[0] == 200
        async with caller(replica.port, second.ca) as post:
            assert (await post("/convert", _REVIEW))[0] == 200
    assert world.bundles() == ["", "", ""]
    assert world.server.get("secrets", Key(NAMESPACE, SECRET)) is None


async def test_validation_is_served_for_each_kind_and_counted() -> None:
    world = World()
    replica = world.webhooks()
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "u", "operation": "CREATE", "object": _GROUP},
    }
    path = "/validate-workloads-x-k8s-io-v1alpha2-rolebasedgroup"
    async with running(replica):
        await until(world.spread)
        async with caller(replica.port, world.authorities()) as post:
            status, found = await post(path, orjson.dumps(review))
            assert (status, found["response"]["allowed"]) == (200, False)
            assert "roles" in found["response"]["status"]["message"]
            assert (await post(f"{path}set", b"{"))[0] == 400
            assert (await post("/convert", b"["))[1]["response"]["result"]["status"] == "Failure"
    registry = replica._registry
    total = "controller_runtime_webhook_requests_total"
    assert registry.get_sample_value(total, {"webhook": path, "code": "403"}) == 1
    assert registry.get_sample_value(total, {"webhook": f"{path}set", "code": "400"}) == 1
    assert registry.get_sample_value(total, {"webhook": "/convert", "code": "200"}) == 0
    assert registry.get_sample_value("controller_runtime_webhook_latency_seconds_count", {"webhook": path}) == 1
    expires = registry.get_sample_value("rbgctrl_webhook_certificate_expiry_timestamp_seconds")
    assert expires == (START + timedelta(days=365)).timestamp()


async def test_an_address_that_is_taken_ends_it_with_a_reason() -> None:
    world = World()
    first = world.webhooks()
    async with running(first):
        await until(lambda: first.port is not None)
        second = world.webhooks()
        second._server._address = Address("127.0.0.1", first.port)
        with pytest.raises(ListenError, match="cannot listen"):
            await second.run()


async def test_the_host_that_api_servers_verify_is_the_services() -> None:
    assert service_hosts(SERVICE, NAMESPACE)[0] == HOST
