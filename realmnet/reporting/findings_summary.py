"""What was found in a folder of pictures, in numbers and in a few lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from realmnet.deployment.description import ModelDescription
from realmnet.evaluation.findings import Finding


@dataclass
class Summary:
    """Counts over pictures.

    Attributes:
        pictures: All.
        found: Class to pictures in which it was found.
        disease: Pictures with the disease; None if the classes do not tell.
        uncertain: Pictures with a decision that is too close to call.
        ungradable: Pictures that cannot be graded; no other count has them, but the first.
        reasons: Reason to pictures that cannot be graded for it.
    """

    pictures: int = 0
    found: Counter = field(default_factory=Counter)
    disease: int | None = None
    uncertain: int = 0
    ungradable: int = 0
    reasons: Counter = field(default_factory=Counter)

    @property
    def gradable(self) -> int:
        """Pictures that can be graded."""
        return self.pictures - self.ungradable

    def add(self, finding: Finding) -> None:
        """Count one picture."""
        self.pictures += 1
        self.reasons.update(finding.ungradable)
        self.ungradable += bool(finding.ungradable)
        self.found.update(finding.found)
        self.uncertain += bool(finding.uncertain)
        if finding.disease is not None:
            self.disease = (self.disease or 0) + finding.disease


def graded_lines(
    summary: Summary, description: ModelDescription, units: dict[str, tuple[int, int]]
) -> list[str]:
    """Say in a few lines what was found and what could not be graded.

    Args:
        summary: Counts over pictures.
        description: The model's.
        units: Number of eyes and of patients, and of those that cannot be graded.
    """
    found = ', '.join(f'{name} {summary.found[name]:,}' for name in description.classes)
    lines = [f'found: {found}; too close to call: {summary.uncertain:,}']
    if description.input_check is None:
        lines.append('This model has no input check: any picture is graded, a fundus or not.')
    else:
        reasons = ', '.join(f'{name} {n:,}' for name, n in summary.reasons.most_common())
        lines.append(
            f'ungradable: {summary.ungradable:,} of {summary.pictures:,} pictures'
            + (f' ({reasons})' if reasons else '')
            + ''.join(
                f', {refused:,} of {number:,} {unit}s'
                for unit, (number, refused) in units.items()
                if number
            )
        )
    if summary.disease is not None:
        which = 'pictures' if not summary.ungradable else 'gradable pictures'
        disease = description.label_schema.disease
        lines.append(f'{disease}: {summary.disease:,} of {summary.gradable:,} {which}')
    elif not description.diagnosis:
        lines.append('no diagnosis: the model does not say which classes mean a disease')
    return lines
