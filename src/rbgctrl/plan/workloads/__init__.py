"""What a role becomes: its workload, with the pod templates in it, and the headless Service beside it."""

from rbgctrl.api.templates import TemplateError
from rbgctrl.plan.workloads.components import components, leader_worker, pod_template
from rbgctrl.plan.workloads.faults import fault
from rbgctrl.plan.workloads.instanceset import apply_set
from rbgctrl.plan.workloads.request import WorkloadRequest, keeps_pins, metadata
from rbgctrl.plan.workloads.service import apply_service

__all__ = [
    "TemplateError",
    "WorkloadRequest",
    "apply_service",
    "apply_set",
    "components",
    "fault",
    "keeps_pins",
    "leader_worker",
    "metadata",
    "pod_template",
]
