"""Fixtures for all tests: where the real data are, and a small synthetic label table."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def real_data() -> Path:
    """The folder with the published label files and real photographs."""
    folder = os.environ.get('REALMNET_TEST_DATA')
    if not folder:
        pytest.skip(
            'REALMNET_TEST_DATA is not set: the published labels and photographs are needed'
        )
    return Path(folder)


@pytest.fixture(scope='session')
def image_sets(real_data) -> Path:
    """The published label files."""
    return real_data / 'psmm_annotations' / 'ImageSets' / 'Main'


@pytest.fixture(scope='session')
def synthetic_psmm(tmp_path_factory) -> Path:
    """A small synthetic PSMM: 64 px, a few patients, the published layout."""
    from realmnet.curation.synthetic import SyntheticArguments, make_synthetic

    root = tmp_path_factory.mktemp('data') / 'PSMM'
    make_synthetic(root, SyntheticArguments(patients=14, size=64, labels='even', seed=42))
    return root
