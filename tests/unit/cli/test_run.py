from __future__ import annotations

from typing import Any

import pytest

import rbgctrl.daemon
from rbgctrl.cli import main
from rbgctrl.daemon.settings import Settings


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings the daemon was started with."""
    found: list[Settings] = []

    def start(settings: Settings) -> int:
        found.append(settings)
        return 0

    monkeypatch.setattr(rbgctrl.daemon, "run", start)
    return found


def test_without_flags_the_daemon_has_its_own_defaults(
    started: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["run"]) == 0
    assert started == [Settings()]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--leader-elect"], {"leader_elect": True}),
        (["--leader-elect=true", "--tune-gc=false"], {"leader_elect": True, "tune_gc": False}),
        (["--enable-deprecated-workload-types=false"], {"enable_deprecated_workload_types": False}),
        (["--no-enable-deprecated-workload-types"], {"enable_deprecated_workload_types": False}),
        (["--leader-elect=True", "--development=1"], {"leader_elect": True, "development": True}),
        (["--metrics-bind-address=:8080"], {"metrics_bind_address": ":8080"}),
        (["--health-probe-bind-address", ":8081"], {"health_probe_bind_address": ":8081"}),
        (["--cache-sync-timeout", "2m"], {"cache_sync_timeout": 120.0}),
        (["--max-concurrent-reconciles=50"], {"max_concurrent_reconciles": 50}),
        (["--kube-api-qps=20", "--kube-api-burst=30"], {"kube_api_qps": 20.0, "kube_api_burst": 30}),
        (["--namespaces", "a,b", "--namespaces", "c"], {"namespaces": ("a", "b", "c")}),
        (["--log-level", "debug", "--log-format", "console"], {"log_level": "debug", "log_format": "console"}),
        (["--enable-webhooks=none", "--scheduler-name=volcano"], {"scheduler_name": "volcano"}),
        (["--enable-webhooks=all", "--webhook-port=0"], {"enable_webhooks": "all", "webhook_port": 0}),
        (
            ["--webhook-cert-dir", "/certs", "--webhook-ca-bundle"],
            {"webhook_cert_dir": "/certs", "webhook_ca_bundle": True},
        ),
    ],
)
def test_flags_become_settings(started: list[Settings], flags: list[str], expected: dict[str, Any]) -> None:
    assert main(["run", *flags]) == 0
    assert started == [Settings.of(**expected)]


def test_the_pods_namespace_is_where_the_lease_is(started: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "rbgs-system")
    assert main(["run", "--leader-elect"]) == 0
    assert main(["run", "--leader-elect", "--leader-election-namespace", "other"]) == 0
    assert [settings.leader_election_namespace for settings in started] == ["rbgs-system", "other"]


def test_webhooks_are_served_in_a_pod_and_not_elsewhere_unless_asked(
    started: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("POD_NAMESPACE", "rbgs-system")
    assert main(["run"]) == 0
    assert main(["run", "--enable-webhooks", "none"]) == 0
    assert [settings.enable_webhooks for settings in started] == ["all", "none"]
    assert started[0].webhook_service_namespace == "rbgs-system"


def test_a_person_gets_readable_logs_unless_told_otherwise(
    started: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["run"]) == 0
    assert main(["run", "--log-format", "json"]) == 0
    assert [settings.log_format for settings in started] == ["console", "json"]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--enable-webhooks", "some"], "--enable-webhooks"),
        (["--cache-sync-timeout", "soon"], "--cache-sync-timeout"),
        (["--metrics-bind-address", "8080"], "--metrics-bind-address"),
        (["--start-port", "65000"], "start_port"),
        (["--max-concurrent-reconciles", "0"], "--max-concurrent-reconciles"),
        (["--max-concurrent-reconciles", "many"], "--max-concurrent-reconciles"),
        (["--leader-elect=perhaps"], "--leader-elect"),
        (["--zap-log-level", "3"], "--zap-log-level"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name_before_anything_starts(
    started: list[Settings], capsys: pytest.CaptureFixture[str], flags: list[str], named: str
) -> None:
    assert main(["run", *flags]) == 2
    assert named in capsys.readouterr().err
    assert started == []


def test_the_daemons_exit_code_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rbgctrl.daemon, "run", lambda _: 1)
    assert main(["run"]) == 1
