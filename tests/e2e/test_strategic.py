"""Strategic merge against a real API server: its dry-run patches of a PodTemplate are what ours must come to.

Both results get the server's defaults: what we merge is sent as a dry-run replacement. So nothing is compared loosely.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from e2e.support.templates import patches, templates
from hack.controlplane import Api
from hack.controlplane.errors import HttpError
from rbgctrl.api.strategic import StrategicError, strategic_merge

BASES = 112
PATCHES = 10
STRATEGIC = "application/strategic-merge-patch+json"
DRY = {"dryRun": "All", "fieldValidation": "Ignore"}  # a directive that is left behind is an unknown field
IN_FLIGHT = 16
SAME = 250
Obj = dict[str, Any]


def drawn() -> list[tuple[Obj, list[Obj]]]:
    """Templates, each with patches of it."""
    found: list[tuple[Obj, list[Obj]]] = []
    seen: set[str] = set()

    def is_new(patch: Obj) -> bool:
        known = len(seen)
        seen.add(json.dumps(patch))
        return len(seen) > known

    checks = [
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.large_base_example,
    ]

    @settings(max_examples=BASES, phases=[Phase.generate], database=None, suppress_health_check=checks)
    @given(templates(), st.lists(patches(), min_size=PATCHES, max_size=PATCHES))
    def draw(template: Obj, several: list[Obj]) -> None:
        found.append((template, [patch for patch in several if is_new(patch)]))

    draw()
    return found


async def test_every_drawn_patch_comes_to_what_the_api_server_makes_of_it(api: Api, namespace: str) -> None:
    slots = asyncio.Semaphore(IN_FLIGHT)
    collection = await api.path("v1", "PodTemplate", namespace)

    async def base(number: int, template: Obj) -> Obj | None:
        meta = {"name": f"t{number}", "namespace": namespace}
        async with slots:
            try:
                return await api.create(
                    {"apiVersion": "v1", "kind": "PodTemplate", "metadata": meta, "template": template}
                )
            except HttpError:
                return None

    async def answer(method: str, stored: Obj, body: Obj, kind: str) -> Any:
        path = f"{collection}/{stored['metadata']['name']}"
        async with slots:
            try:
                return (await api.request(method, path, body=body, params=DRY, content_type=kind))["template"]
            except HttpError as error:
                return error

    async def judge(stored: Obj, patch: Obj) -> tuple[str, str]:
        theirs = await answer("PATCH", stored, {"template": patch}, STRATEGIC)
        try:
            merged = strategic_merge(stored["template"], patch)
        except StrategicError as error:
            ours: Any = error
        else:
            ours = await answer("PUT", stored, {**stored, "template": merged}, "application/json")
        refused = isinstance(theirs, Exception), isinstance(ours, Exception)
        if refused == (True, True):
            return "both refuse", ""
        if refused == (False, False) and theirs == ours:
            return "same", ""
        shown = [str(item) if isinstance(item, Exception) else item for item in (theirs, ours)]
        return "differ", json.dumps({"base": stored["template"], "patch": patch, "theirs": shown[0], "ours": shown[1]})

    cases = drawn()
    stored = await asyncio.gather(*(base(number, template) for number, (template, _) in enumerate(cases)))
    todo = [
        judge(found, patch) for found, (_, several) in zip(stored, cases, strict=True) if found for patch in several
    ]
    verdicts = await asyncio.gather(*todo)
    counted = Counter(verdict for verdict, _ in verdicts)
    differing = [told for verdict, told in verdicts if verdict == "differ"]
    assert not differing, "\n".join([str(counted), *differing])
    assert counted["same"] >= SAME, counted
    print(f"strategic merge: {counted}")  # noqa: T201 - for whoever reads the run
