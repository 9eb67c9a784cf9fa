"""What the classes of a predictions file mean, as said on a command line."""

from __future__ import annotations

import argparse
import os

from realmnet.curation.schema_file import read_schema
from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions, read_predictions


def add_prediction_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--schema``, ``--classes``, ``--disease``, ``--disease-name``, for a file without them.

    :func:`predictions_from` reads them.
    """
    parser.add_argument('--schema', help='what the classes mean: PSMM, or a JSON file with the '
                        'fields of a label schema; default: what the file says')  # fmt: skip
    parser.add_argument('--classes', nargs='+', help='class names of a .pkl, in their order')
    parser.add_argument('--disease', nargs='+', metavar='CLASS', help='classes that mean the '
                        "disease, where the file does not say (PSMM's are known)")  # fmt: skip
    parser.add_argument('--disease-name', default='', metavar='NAME',
                        help='what the disease is called, "macular hole"')  # fmt: skip


def predictions_from(args: argparse.Namespace, path: str | os.PathLike) -> Predictions:
    """Read a predictions file with what the command line says of its classes.

    Args:
        args: With the options of :func:`add_prediction_options`.
        path: The file.

    Raises:
        InputError: As for :func:`realmnet.evaluation.predictions.read_predictions`, or if the
            options contradict each other or the file.
    """
    if args.schema and args.classes:
        raise InputError('--schema and --classes both name the classes; leave --classes out')
    named = read_schema(args.schema) if args.schema else args.classes
    predictions = read_predictions(path, named)
    if args.disease or args.disease_name:
        diagnosis = args.disease or predictions.schema.diagnosis
        predictions = predictions.with_diagnosis(diagnosis, args.disease_name)
    return predictions
