from .auditing import Audit as Audit, audit as audit, linked_samples as linked_samples
from .findings import AuditFinding as AuditFinding, read_findings as read_findings
from .shortcuts import (
    categories as categories,
    find_shortcuts as find_shortcuts,
    names_samples as names_samples,
)
