"""Where a role's pod template comes from: written inline, or a role template with the role's patch over it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rbgctrl.api import events
from rbgctrl.api.patterns import LeaderWorkerPattern, StandalonePattern, TemplateRef
from rbgctrl.api.podshape import malformed
from rbgctrl.api.strategic import StrategicError, strategic_merge

__all__ = ["TemplateError", "base_template", "checked", "leader_and_worker", "patched"]

_SHOWN_MAX: Final = 200


class TemplateError(Exception):
    """No pod template can be made of what a role says.

    Attributes:
        problem: what is wrong and what to do.
        where: the field that is wrong, inside of the role's pattern; ``""`` when it is not about one.
        reason: event reason that says the same to machines.
    """

    def __init__(self, problem: str, where: str = "", reason: str = events.FAILED_RECONCILE_WORKLOAD) -> None:
        super().__init__(f"{where}: {problem}" if where else problem)
        self.problem, self.where, self.reason = problem, where, reason


def base_template(
    templates: Mapping[str, Mapping[str, Any]], source: StandalonePattern | LeaderWorkerPattern
) -> dict[str, Any]:
    """The template that all pods of a pattern start from; its parts are shared, so never change them.

    Args:
        templates: the group's role templates by name.
        source: the pattern.

    Raises:
        TemplateError: there is none.
    """
    if source.template_ref is not None:
        return _referred(templates, source.template_ref)
    if source.template is None:
        raise TemplateError("the pattern has no template; set template or templateRef")
    return checked(source.template, "template")


def leader_and_worker(
    templates: Mapping[str, Mapping[str, Any]], pattern: LeaderWorkerPattern
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The templates of leader and workers, each with its patch; as :func:`base_template`."""
    base = base_template(templates, pattern)
    return (
        patched(base, pattern.leader_template_patch, "leaderTemplatePatch"),
        patched(base, pattern.worker_template_patch, "workerTemplatePatch"),
    )


def _referred(templates: Mapping[str, Mapping[str, Any]], reference: TemplateRef) -> dict[str, Any]:
    found = templates.get(reference.name)
    if found is None:
        problem = f"{reference.name} is no entry of spec.roleTemplates; add the entry or correct the name"
        raise TemplateError(problem, "templateRef.name", events.INVALID_TEMPLATE_REF)
    if reference.patch is None:
        problem = "is required; write {} to change nothing"
        raise TemplateError(problem, "templateRef.patch", events.INVALID_TEMPLATE_REF)
    return patched(checked(found, "templateRef"), reference.patch, "templateRef.patch")


def checked(template: Any, where: str) -> dict[str, Any]:
    """The template itself, if it has a shape that can be worked with.

    Args:
        template: what a user wrote.
        where: the field it is in.

    Raises:
        TemplateError: it has another shape.
    """
    if problem := malformed(template):
        raise TemplateError(problem, where)
    return dict(template)


def patched(template: dict[str, Any], patch: Any, where: str) -> dict[str, Any]:
    """A template with a strategic merge patch over it; without a patch itself.

    Args:
        template: what is patched.
        patch: the patch, any JSON value.
        where: the field that has the patch.

    Raises:
        TemplateError: the patch does not fit.
    """
    if patch is None or patch == {}:
        return template
    if not isinstance(patch, dict):
        raise TemplateError("is no object; write a strategic merge patch", where, events.INVALID_TEMPLATE_REF)
    try:
        merged = strategic_merge(template, patch)
    except StrategicError as error:
        problem = f"is no strategic merge patch for the template: {str(error)[:_SHOWN_MAX]}; correct it"
        raise TemplateError(problem, where, events.INVALID_TEMPLATE_REF) from error
    if problem := malformed(merged):
        raise TemplateError(f"leaves a template in which {problem}", where, events.INVALID_TEMPLATE_REF)
    return merged
