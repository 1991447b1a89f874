"""From texts to a report: the core of ``rbgctrl validate``, without files and without output. Never raises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rbgctrl.api.admission import AdmissionOptions
from rbgctrl.api.finding import Severity
from rbgctrl.cli.validate import keys, relations
from rbgctrl.cli.validate.item import Item
from rbgctrl.cli.validate.nodes import Node, Problem, documents
from rbgctrl.cli.validate.objects import judge, ours
from rbgctrl.cli.validate.report import Issue, Report, Source

__all__ = ["check"]

_NO_KIND = "no kind"


def check(sources: Sequence[Source], options: AdmissionOptions, *, strict: bool = False) -> Report:
    """Check manifests that are to be applied together.

    Args:
        sources: texts of YAML or JSON, of any number of documents.
        options: what the installation allows.
        strict: warnings count as errors.
    """
    report = Report(strict=strict)
    items: list[Item] = []
    services: list[Item] = []
    for source in sources:
        for item in _items(source, report):
            if ours(item):
                report.checked[item.kind or _NO_KIND] += 1
                judge(item, options)
                items.append(item)
            elif (item.api_version, item.kind) == ("v1", "Service") and relations.is_about_us(item):
                report.checked[item.kind] += 1
                services.append(item)
            else:
                report.skipped[item.kind or _NO_KIND] += 1
    for item in items:
        keys.check(item)
    relations.check(items, services)
    report.issues += [issue for item in (*items, *services) for issue in item.issues]
    order = {source.name: index for index, source in enumerate(sources)}
    report.issues.sort(key=lambda issue: (order[issue.file], issue.line, issue.severity is not Severity.ERROR))
    return report


def _items(source: Source, report: Report) -> Iterator[Item]:
    """The objects of a text, those of lists one by one; what is wrong with the text itself goes to the report."""
    for document in documents(source.text):
        report.issues += [_issue(source, problem) for problem in document.problems]
        if document.root is not None:
            yield from _objects(source, document.root, report)


def _objects(source: Source, root: Node, report: Report) -> Iterator[Item]:
    todo = [root]
    while todo:
        node = todo.pop()
        body = node.json()
        if not isinstance(body, dict):
            report.skipped[_NO_KIND] += 1
            continue
        kind, listed = body.get("kind"), (node.fields or {}).get("items")
        if isinstance(kind, str) and kind.endswith("List") and listed is not None and listed.items is not None:
            todo += reversed(listed.items)
        else:
            yield Item(file=source.name, node=node, body=body)


def _issue(source: Source, problem: Problem) -> Issue:
    return Issue(
        file=source.name,
        line=problem.line,
        severity=Severity.ERROR if problem.fatal else Severity.WARNING,
        object="",
        path="",
        message=problem.message,
        rule="yaml",
    )
