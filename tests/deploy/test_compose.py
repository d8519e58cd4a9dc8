"""compose.yaml is valid, knows only settings that exist, and lets nothing in but the proxy."""

import importlib.util
import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.support.app import ROOT
from tests.support.dockerfile import stages
from videovault.__main__ import COMMANDS
from videovault.config import Settings

OWN_ROLES = {"migrate", "bucket", "app", "worker"}
# Of compose.yaml itself.
VARIABLES = {
    "VIDEOVAULT_TAG",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "DOMAIN",
    "OUTSIDE_SUBNET",
    "PROXY_ADDRESS",
    "TRANSFERS_AT_ONCE",
    "S3_PORT",
    "WORKER_PORT",
}
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)([-:?][^}]*)?\}")
TEXT = (ROOT / "compose.yaml").read_text()
SETTING_NAMES = {name.upper() for name in Settings.model_fields}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    found = importlib.util.find_spec("check_jsonschema")
    assert found
    assert found.origin
    schema = Path(found.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema_rs.validate(json.loads(schema.read_text()), compose)


def test_every_role_is_a_command(compose: dict[str, Any]) -> None:
    for name in OWN_ROLES:
        assert compose["services"][name]["command"][0] in COMMANDS


def test_own_containers_are_hardened(compose: dict[str, Any]) -> None:
    for name in OWN_ROLES:
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert stages()["final"].last("VOLUME") == "/data"
        assert service["volumes"] == ["/data"]  # each container its own


def test_everything_that_keeps_running_has_a_health_check(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        runs_on = service["restart"] == "unless-stopped"
        by_image = name in ("app", "proxy")  # the Dockerfile has one; the proxy's is that of the app
        assert not runs_on or by_image or "test" in service["healthcheck"], name


def test_only_known_variables_are_used(compose: dict[str, Any]) -> None:
    assert compose["services"]["app"]["environment"].keys() <= SETTING_NAMES | VARIABLES
    used = {found[0] for found in VARIABLE.findall(TEXT)}
    assert used <= SETTING_NAMES | VARIABLES
    example = (ROOT / "deploy" / "compose.env.example").read_text()
    offered = set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", example, re.MULTILINE))
    assert offered <= SETTING_NAMES | VARIABLES
    required = {name for name, default in VARIABLE.findall(TEXT) if default.startswith(":?")}
    assert required <= offered


def test_nothing_is_published_beyond_this_host_but_the_proxy(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert name == "proxy" or str(port).startswith("127.0.0.1:"), name
    for name in ("postgres", "redis"):
        assert compose["services"][name]["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"] is True


def test_what_has_no_login_answers_in_its_container_only(compose: dict[str, Any]) -> None:
    store, redis = compose["services"]["s3"]["command"].split(), compose["services"]["redis"]["command"]
    assert {"-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0"} <= set(store)
    assert "--requirepass ${REDIS_PASSWORD" in redis


def test_a_worker_may_finish_a_webhook_before_it_is_killed(compose: dict[str, Any]) -> None:
    seconds = int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s"))
    assert seconds > Settings.model_fields["webhook_timeout_seconds"].default


def test_forwarded_headers_are_believed_from_the_proxy_only(compose: dict[str, Any]) -> None:
    """Not from the gateway, from which every process of the host arrives."""
    trusted = compose["services"]["app"]["environment"]["FORWARDED_ALLOW_IPS"]
    address = compose["services"]["proxy"]["networks"]["outside"]["ipv4_address"]
    assert trusted == f"${{FORWARDED_ALLOW_IPS:-{address}}}"
    subnet = compose["networks"]["outside"]["ipam"]["config"][0]["subnet"]
    network = ipaddress.ip_network(default_of(subnet))
    assert ipaddress.ip_address(default_of(address)) in network
    gateway = str(network[1])
    assert default_of(address) != gateway
    for file in ("docs/deploying.md", "deploy/compose.env.example"):
        assert f"FORWARDED_ALLOW_IPS={gateway}" in (ROOT / file).read_text()


def default_of(variable: str) -> str:
    return variable.partition(":-")[2].removesuffix("}")


def test_settings_of_the_app_do_not_stop_a_worker(compose: dict[str, Any]) -> None:
    """WORKERS may be 0 in the file that both read."""
    assert compose["services"]["worker"]["command"] == ["worker", "--concurrency", "${TRANSFERS_AT_ONCE:-4}"]


def test_roles_wait_for_the_migrations(compose: dict[str, Any]) -> None:
    for name in ("app", "worker"):
        assert compose["services"][name]["depends_on"]["migrate"] == {
            "condition": "service_completed_successfully"
        }


def test_store_knows_the_keys_of_videovault(compose: dict[str, Any]) -> None:
    identities = json.loads(compose["configs"]["s3-identities"]["content"])["identities"]
    assert identities[0]["credentials"] == [
        {"accessKey": "${AWS_ACCESS_KEY_ID}", "secretKey": "${AWS_SECRET_ACCESS_KEY}"}
    ]
