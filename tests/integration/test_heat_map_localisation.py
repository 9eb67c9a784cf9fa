"""Heat maps of the quickstart's model find synthetic lesions better than their usual place."""

import sys

import pytest
from commands import QUICKSTART, ROOT, run

from realmnet.explain.benchmark import BASELINE, localise
from realmnet.explain.loading import TrainedModel
from realmnet.explain.methods import Explainer

# Tables of all methods: tools/benchmarks/localisation.py.
LESIONS_INSIDE = ('A2', 'A3', 'A4')


@pytest.mark.slow
def test_maps_beat_the_mean_training_mask_in_the_pointing_game():
    run('bash', 'tools/quickstart.sh', PYTHON=sys.executable)
    checkpoint = (ROOT / 'work_dirs' / 'quickstart' / 'last_checkpoint').read_text().strip()
    root = ROOT / 'data' / 'synthetic'
    trained = TrainedModel(ROOT / QUICKSTART, checkpoint)
    explainers = {name: Explainer(trained.model, name) for name in ('gradcam++', 'attention')}
    result = localise(trained, explainers, root, root)
    # S1, A2, A3 and A4: the lower end of the 95 % interval of the gain, by patient.
    assert result.difference('gradcam++')[1] > 0.1
    assert result.difference('attention')[1] > 0
    # A ridge (S1) encloses the place where the attention is highest; the others hold it.
    assert result.difference('attention', LESIONS_INSIDE)[1] > 0.05
    # The attention is the class's own: that of another class does not find the lesion.
    assert result.difference('attention', to='attention of another class')[1] > 0.1
    assert result.difference('noise')[2] < 0 and BASELINE in result.hits
