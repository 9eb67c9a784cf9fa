"""Synthetic PSMM: drawn ultra-widefield pictures with the published labels, names and layout.

Nothing here is learned from pictures of patients. `labels` decides who is photographed, `anatomy`
and `lesions` what their eyes look like, `fundus` paints them, `acquisition` takes the pictures,
`writer` stores them, and `difficulty` measures how much of the labels is in the colours alone.
"""

from realmnet.curation.synthetic.labels import LABEL_SETS, Patient, Picture, draw_patients
from realmnet.curation.synthetic.writer import (
    NOTICE,
    SyntheticArguments,
    check_output,
    in_synthetic,
    is_synthetic,
    label_frame,
    make_synthetic,
    render_patient,
)

__all__ = [
    'LABEL_SETS',
    'NOTICE',
    'Patient',
    'Picture',
    'SyntheticArguments',
    'check_output',
    'draw_patients',
    'in_synthetic',
    'is_synthetic',
    'label_frame',
    'make_synthetic',
    'render_patient',
]
