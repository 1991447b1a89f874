"""Flags of the daemon: defaults of the reference manager, Go's notations, one sentence for each mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rbgctrl.daemon.settings import Settings, SettingsError, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120s", 120),
        ("2m", 120),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("300ms", 0.3),
        ("0", 0),
        ("0s", 0),
        ("1h2m3.5s", 3723.5),
        ("+5s", 5),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("1ns", 1e-9),
        (".5s", 0.5),
        ("5.s", 5),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "120", "s", "-5s", "5 s", "1h x", "1d", "five", "5s5", "s5", "1e3s", "."])
def test_what_is_not_a_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write for example 120s"):
        parse_duration(text)


@given(st.integers(0, 1000), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_written_duration_is_read_back(hours: int, minutes: int, seconds: int, millis: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{millis}ms"
    assert parse_duration(text) == pytest.approx(hours * 3600 + minutes * 60 + seconds + millis / 1000)


def test_the_defaults_are_the_reference_managers_except_where_documented() -> None:
    settings = Settings()
    assert settings.metrics_bind_address == "0"
    assert settings.health_probe_bind_address == ":8082"
    assert settings.leader_elect is False
    assert settings.leader_election_id == "rbg-controller"
    assert settings.max_concurrent_reconciles == 10
    assert settings.cache_sync_timeout == 120
    assert settings.scheduler_name == "scheduler-plugins"
    assert settings.enable_deprecated_workload_types is True
    assert (settings.enable_port_allocator, settings.port_allocate_strategy) == (False, "random")
    assert (settings.start_port, settings.port_range) == (30000, 5000)
    assert (settings.webhook_port, settings.webhook_service_name) == (9443, "rbgs-webhook-service")
    # Ours: no client-side limit, plain metrics, no webhooks outside a pod.
    assert (settings.kube_api_qps, settings.kube_api_burst) == (0, 0)
    assert settings.metrics_secure is False
    assert settings.enable_webhooks == "none"


def test_text_as_flags_give_it_is_understood() -> None:
    settings = Settings.of(
        cache_sync_timeout="1m30s", kube_api_qps="50", max_concurrent_reconciles="3", leader_elect="true"
    )
    assert settings.cache_sync_timeout == 90
    assert settings.kube_api_qps == 50
    assert settings.max_concurrent_reconciles == 3
    assert settings.leader_elect is True


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"cache_sync_timeout": "soon"}, "--cache-sync-timeout: 'soon' is not a duration"),
        ({"metrics_bind_address": "8080"}, "--metrics-bind-address: '8080' is not an address to listen on"),
        ({"health_probe_bind_address": ":x"}, "--health-probe-bind-address: ':x' is not an address"),
        ({"enable_webhooks": "some"}, "--enable-webhooks: Input should be 'all' or 'none'"),
        ({"scheduler_name": "mine"}, "--scheduler-name: Input should be 'scheduler-plugins' or 'volcano'"),
        ({"max_concurrent_reconciles": 0}, "--max-concurrent-reconciles: Input should be greater than or equal to 1"),
        ({"start_port": 65000, "port_range": 5000}, "goes beyond port 65535"),
        ({"namespaces": ("a", "a")}, "namespaces names one twice"),
        ({"metrics_secure": True, "metrics_bind_address": ":8443"}, "metrics_secure: metrics are served in plain HTTP"),
        ({"nonsense": 1}, "--nonsense: Extra inputs are not permitted"),
        ({"kube_api_qps": float("nan")}, "--kube-api-qps"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_flag(flags: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.of(**flags)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_wrong_values_are_all_named() -> None:
    with pytest.raises(SettingsError, match=r"--start-port.*; --log-level"):
        Settings.of(start_port=0, log_level="loud")


def test_secure_metrics_that_are_off_are_nobodys_problem() -> None:
    assert Settings.of(metrics_secure=True).metrics_secure


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.leader_elect = True  # type: ignore[misc]  # that is the test
