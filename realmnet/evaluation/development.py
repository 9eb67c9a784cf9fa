"""What may be chosen on which data: on the development split, never on a test or external set."""

from __future__ import annotations

from realmnet.curation.identifiers import name_spelling, shared, spelling
from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions


def check_development(predictions: Predictions, place: str, what: str) -> None:
    """Refuse to choose anything on predictions that say to be of another split.

    ``tools/test.py`` writes the split into a JSON file; a CSV file does not tell.

    Args:
        predictions: What is to be chosen on.
        place: How messages name their file.
        what: What is to be chosen.

    Raises:
        InputError: If they are of the test split, of an external set or of the training split.

    Example:
        >>> import numpy as np
        >>> one = Predictions(*np.zeros((2, 1)), *np.zeros((2, 1, 1)), ('M',), {'split': 'val'})
        >>> check_development(one, 'val.json', 'thresholds')
    """
    split = predictions.info.get('split', 'val')
    if split != 'val':
        told = 'training' if split == 'train' else 'test or an external'
        raise InputError(
            f'{place}: these are predictions of the {told} set, and {what} are chosen on the '
            'development split: predict that one (tools/test.py with --cfg-options '
            'test_dataloader.dataset.ann_file=LABELS, the label file of val_dataloader)'
        )


def check_apart(
    development: Predictions, reported: Predictions, names: tuple[str, str] = ('the first', 'other')
) -> None:
    """Refuse a set that is only to be reported if it shares pictures or patients with another.

    Args:
        development: What something is chosen on.
        reported: What its worth is shown on.
        names: How messages name the two.

    Raises:
        InputError: Names one that is in both, in whatever spelling.
    """
    for what, first, second, spelled in (
        ('picture', development.filenames, reported.filenames, name_spelling),
        ('patient', development.patients, reported.patients, spelling),
    ):
        both, alike = shared(map(str, first), map(str, second), spelled)
        pairs = [(name, name) for name in both] + alike
        if pairs:
            name, other = pairs[0]
            written = '' if name == other else f' (there {other!r})'
            raise InputError(
                f'{what} {name!r}{written} is in both {names[0]} and {names[1]}, {len(pairs)} '
                f'{what}(s) in all; what is reported must be of other patients than what is '
                'chosen on'
            )
