"""The model index that OpenMIM reads: complete, no dead paths, counted and published numbers."""

from pathlib import Path

import pytest
import yaml

from realmnet.engine.config import load_config
from realmnet.models.complexity import complexity
from realmnet.reporting.model_table import TABLE_4_CONFIGS
from realmnet.reporting.published import class_tables

ROOT = Path(__file__).parents[2]
METAFILES = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
CONTENTS = [yaml.safe_load((ROOT / path).read_text()) for path in METAFILES]
MODELS = [model for content in CONTENTS for model in content['Models']]


def test_every_config_of_the_folders_has_one_entry():
    listed = sorted(model['Config'] for model in MODELS)
    there = sorted(
        p.relative_to(ROOT).as_posix()
        for path in METAFILES
        for p in (ROOT / path).parent.rglob('*.py')
    )
    assert listed == there and len(there) >= 12
    assert len({model['Name'] for model in MODELS}) == len(MODELS)


def test_collections_exist_and_no_weights_are_promised():
    known = {collection['Name'] for content in CONTENTS for collection in content['Collections']}
    assert {model['In Collection'] for model in MODELS} == known
    assert not any('Weights' in model for model in MODELS)
    assert all(
        collection['Metadata']['Results'] == 'published, not reproduced'
        for content in CONTENTS
        for collection in content['Collections']
    )


@pytest.mark.parametrize('entry', MODELS, ids=lambda entry: entry['Name'])
def test_size_is_counted(entry):
    counted = complexity(load_config(ROOT / entry['Config']))
    assert entry['Metadata'] == {
        'FLOPs': counted.multiply_adds,
        'Parameters': counted.parameters,
    }


def test_results_are_the_published_ones():
    """Means of the class-wise rows; the copied rows of Tables 2 and 3 are left out."""
    by_config = {entry['Config']: entry for entry in MODELS}
    table = class_tables()
    for model, path in TABLE_4_CONFIGS.items():
        means = table[table['model'] == model].groupby('metric')['percent'].mean().round(2)
        names = dict(F1='F1', AP='mAP', AUROC='AUROC') if 'RealMNet' in model else dict(F1='F1')
        (result,) = by_config.pop(path)['Results']
        assert result['Dataset'] == 'PSMM'
        assert result['Metrics'] == {name: means[metric] for metric, name in names.items()}
    assert all('Results' not in entry for entry in by_config.values())
