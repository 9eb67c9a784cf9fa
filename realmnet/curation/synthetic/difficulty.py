"""How much of the labels a synthetic data set gives away by colour alone."""

import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from realmnet.curation.label_schema import PSMM
from realmnet.curation.label_table import read_label_table
from realmnet.curation.pictures import read_any_picture
from realmnet.curation.synthetic.writer import PICTURES, SPLITS

BINS = 16


def colour_histogram(image: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Count the colours of a picture channel by channel.

    Args:
        image: Array (H, W, 3), uint8.
        bins: Number of bins a channel.

    Returns:
        Array (3 * bins,), the share of the pixels in each bin; each channel sums to 1.

    Example:
        >>> colour_histogram(np.zeros((4, 4, 3), np.uint8), bins=2).tolist()
        [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    """
    edges = np.linspace(0, 256, bins + 1)
    counts = [np.histogram(image[..., channel], edges)[0] for channel in range(3)]
    return np.concatenate(counts) / (image.shape[0] * image.shape[1])


def fit_and_score(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> np.ndarray:
    """Fit one logistic regression a class and give the AUROC of each.

    Features are standardised and the penalty is chosen by cross-validation on the training part.

    Args:
        train: Features, (N, D).
        train_labels: Zeros and ones, (N, C).
        test: Features, (M, D).
        test_labels: Zeros and ones, (M, C).

    Returns:
        AUROC of each class, (C,); NaN where a class is missing from either part.
    """
    scores = np.full(train_labels.shape[1], np.nan)
    for column, (fit_to, truth) in enumerate(zip(train_labels.T, test_labels.T, strict=True)):
        if min(np.bincount(fit_to, minlength=2)) < 5 or len(np.unique(truth)) < 2:
            continue
        model = make_pipeline(
            StandardScaler(),
            LogisticRegressionCV(
                Cs=np.logspace(-4, 1, 6),
                cv=5,
                l1_ratios=(0,),
                use_legacy_attributes=False,
                scoring='roc_auc',
                max_iter=2000,
            ),
        )
        model.fit(train, fit_to)
        scores[column] = roc_auc_score(truth, model.decision_function(test))
    return scores


def histogram_baseline(root: str | os.PathLike) -> pd.DataFrame:
    """Predict the labels from colour histograms: what needs no anatomy to be learned.

    Args:
        root: Folder of a synthetic data set.

    Returns:
        One row a class, index the class names, columns ``auroc`` and ``positives`` (in the test
        split).
    """
    root = Path(root)
    features, labels = {}, {}
    for split in ('train', 'test'):
        table = read_label_table(root / SPLITS[split])
        labels[split] = table.labels.astype(int)
        pictures = [
            cv2.cvtColor(read_any_picture(root / PICTURES / name), cv2.COLOR_RGB2BGR)
            for name in table.filenames
        ]
        features[split] = np.stack([colour_histogram(picture) for picture in pictures])
    auroc = fit_and_score(features['train'], labels['train'], features['test'], labels['test'])
    columns = {'auroc': auroc, 'positives': labels['test'].sum(0)}
    return pd.DataFrame(columns, index=list(PSMM.classes))
