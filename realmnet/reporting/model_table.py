"""Table 4: size and cost of the models, counted, beside what the paper prints."""

from __future__ import annotations

from collections.abc import Mapping

from realmnet.reporting.published import load
from realmnet.reporting.tables import Table

#: The rows of Table 4, by the names of Tables 1-3, and the configs they are counted from.
TABLE_4_CONFIGS = {
    'DeiT': 'configs/myopia_models/deit-b-distill-384_MYOPIA.py',
    'ConvNeXt': 'configs/myopia_models/convnext-t-384_MYOPIA.py',
    'EfficientNet': 'configs/myopia_models/efficientnet-b4-380_MYOPIA.py',
    'Swin Transformer': 'configs/myopia_models/swin-b-384_MYOPIA.py',
    'RealMNet': 'configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py',
    'RealMNet-Max': 'configs/myopia_models/tinyvit-21m-distill-512_MYOPIA.py',
}

_NOTES = [
    'Ours: the models that are trained, with seven classes. A multiply-add of a matrix product, '
    "attention's included, or of a convolution counts once; norms, activations and poolings do "
    'not count.',
    'Published: the ImageNet models of OpenMMLab, as its model index lists them. Their heads have '
    '1,000 classes (DeiT has two such heads); with those our counts give the published '
    'parameters to the last digit.',
    "The index's multiply-adds are of another counter, which apparently adds norms, activations "
    'and the like: 0.1 % (DeiT) to 6 % (EfficientNet) more. For Swin Transformer it left out the '
    'products inside attention, 2.63 G.',
]


def model_table(counted: Mapping[str, Mapping[str, int]]) -> Table:
    """Table 4, ours beside the published one.

    Args:
        counted: Model to ``side`` (pixels), ``parameters`` and ``multiply_adds`` (of one
            picture), as :class:`realmnet.models.complexity.Complexity` holds them; models that
            are not there are left open.

    Returns:
        One row a model; millions of parameters and 10^9 multiply-adds, with differences.

    Example:
        >>> one = dict(side=384, parameters=20_661_552, multiply_adds=13_698_450_432)
        >>> model_table({'RealMNet': one}).rows[4]
        ['RealMNet', '384', '20.66', '21.23', '-0.57', '13.70', '13.85', '-0.15']
    """
    rows = []
    for model, published in load('model_info').items():
        ours = counted.get(model)
        row = [model, published['side']]
        for key, printed, unit in (
            ('parameters', published['params'], 1e6),
            ('multiply_adds', published['flops'], 1e9),
        ):
            if ours is None:
                row += ['not counted', printed, '']
            else:
                value = ours[key] / unit
                row += [f'{value:.2f}', printed, f'{value - float(printed):+.2f}']
        rows.append(row)
    return Table(
        name='table_4',
        title='Table 4. Model information',
        header=['Model', 'Image size', 'Parameters (M)', 'published', 'difference',
                'Multiply-adds (G)', 'published', 'difference'],
        rows=rows,
        notes=_NOTES,
    )  # fmt: skip
