"""Where a pod is in its group, and where everybody else is: from the mounted file and the environment alone.

Run it in a container of a group (it needs PyYAML): python topology.py [--json] [--wait SECONDS]
RBG_CONFIG names another file than /etc/rbg/config.yaml.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

FILE = "/etc/rbg/config.yaml"
_LOOK_AGAIN = 1.0


class UnknownTopologyError(Exception):
    """There is no telling where anything is; the message says why."""


class Topology:
    """The mounted file, seen by one pod.

    Args:
        document: the file's content.
        environment: of the container.
    """

    def __init__(self, document: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        found = document.get("topology")
        if not isinstance(found, Mapping) or found.get("version") != 1:
            raise UnknownTopologyError("it has no topology of version 1; was it written by an older release?")
        if "roles" not in found:
            raise UnknownTopologyError(f"its topology lists no roles: {found.get('omitted', 'the group has none')}")
        self.roles: list[dict[str, Any]] = found["roles"]
        self.role, self.instance, self.pod = self._find(environment)

    def _find(self, environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """This pod: by its RoleID, or, in workloads whose pods have none, by its name."""
        key, wanted = "roleId", environment.get("RBG_ROLE_ID")
        if not wanted:
            key, wanted = "name", environment.get("HOSTNAME", "")
        for role in self.roles:
            for instance in role["instances"]:
                for pod in instance["pods"]:
                    if pod.get(key) == wanted:
                        return role, instance, pod
        raise UnknownTopologyError(f"it does not list this pod, {wanted or 'unnamed'}; is it younger than the file?")

    @property
    def peers(self) -> list[dict[str, Any]]:
        """The other pods of this pod's instance."""
        return [pod for pod in self.instance["pods"] if pod is not self.pod]

    @property
    def leader(self) -> dict[str, Any]:
        """The pod that leads this pod's instance: of component ``leader`` where there is one, else the first."""
        pods: list[dict[str, Any]] = self.instance["pods"]
        return next((pod for pod in pods if pod["component"] == "leader"), pods[0])

    @property
    def complete(self) -> bool:
        """Whether every pod that is listed can be reached; workers may have no address before they run."""
        return all(
            "address" in pod for role in self.roles for instance in role["instances"] for pod in instance["pods"]
        )

    def as_json(self) -> dict[str, Any]:
        """Everything a program asks for first."""
        return {
            "self": {"role": self.role["name"], "instance": self.instance["name"], **self.pod},
            "leader": self.leader,
            "peers": self.peers,
            "roles": self.roles,
        }

    def lines(self) -> Iterator[str]:
        """The same for people."""
        yield f"I am {_described(self.pod)}"
        yield f"  of instance {self.instance['name']} of role {self.role['name']}"
        yield f"  led by {'myself' if self.leader is self.pod else _described(self.leader)}"
        for pod in self.peers:
            yield f"  beside {_described(pod)}"
        for role in self.roles:
            how = [role.get("pattern", ""), role["workload"]]
            how += [f"service {role['service']}"] if "service" in role else []
            how += [f"{name}={port}" for name, port in role.get("ports", {}).items()]
            yield f"role {role['name']}: {', '.join(filter(None, how))}"
            for instance in role["instances"]:
                yield f"  {instance['name']}"
                yield from (f"    {_described(pod)}" for pod in instance["pods"])


def _described(pod: Mapping[str, Any]) -> str:
    """A pod in one line: who, where, how to reach it."""
    parts = [pod.get("roleId") or pod["name"], f"at {pod.get('address', 'no address yet')}"]
    parts += [f"{name}={port}" for name, port in pod.get("ports", {}).items()]
    parts += [f"{key} {pod[key]}" for key in ("zone", "domain") if key in pod]
    return "  ".join(parts)


def read(environment: Mapping[str, str]) -> Topology:
    """The topology as it is now.

    Raises:
        UnknownTopologyError: the file is missing, is not what it should be, or does not list this pod.
    """
    path = Path(environment.get("RBG_CONFIG", FILE))
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UnknownTopologyError(f"cannot read {path}: {error}") from error
    if not isinstance(document, Mapping):
        raise UnknownTopologyError(f"cannot use {path}: it holds no mapping")
    try:
        return Topology(document, environment)
    except UnknownTopologyError as error:
        raise UnknownTopologyError(f"cannot use {path}: {error}") from None


def wait(environment: Mapping[str, str], seconds: float) -> Topology:
    """The topology once every pod in it has an address, or as it is when time is up; the kubelet renews the file.

    Raises:
        UnknownTopologyError: as :func:`read`, when time is up.
    """
    until = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= until
        try:
            found = read(environment)
            if found.complete or late:
                return found
        except UnknownTopologyError:
            if late:
                raise
        time.sleep(_LOOK_AGAIN)


def main() -> int:
    """Print what is known; 1 when nothing is."""
    parser = argparse.ArgumentParser(description="Where this pod and all others of its group are.")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="until every pod has an address")
    arguments = parser.parse_args()
    try:
        topology = wait(os.environ, arguments.wait)
    except UnknownTopologyError as error:
        print(f"topology: {error}", file=sys.stderr)
        return 1
    print(json.dumps(topology.as_json(), indent=2) if arguments.json else "\n".join(topology.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
