"""What a class means stands in its schema: no other module names PSMM's classes."""

import ast
import re
from pathlib import Path

import pytest

from realmnet.curation.label_schema import PSMM

ROOT = Path(__file__).parents[1]
#: Modules that mean the classes of PSMM: their schema, and the drawing of them.
OWN = {
    'realmnet/curation/label_schema.py',
    'realmnet/curation/synthetic/fundus.py',
    'realmnet/curation/synthetic/lesions.py',
}
#: Strings that read like a class and are none: the paper's tables, male, minute and million.
OTHERS = {
    'realmnet/curation/statistics.py': {'M'},
    'realmnet/engine/run_lock.py': {'M'},
    'realmnet/reporting/border_tables.py': {'A3', 'A4'},
    'realmnet/reporting/dataset_figures.py': {'M'},
    'realmnet/reporting/dataset_tables.py': {'A1', 'A2'},
    'realmnet/reporting/model_table.py': {'M'},
    'realmnet/reporting/paper.py': {'A1', 'A2', 'A3', 'A4', 'maculopathy'},
    'tools/dataset_tools/make_protocols.py': {'A1'},
    'tools/report.py': {'A2'},
}
#: Examples in the help of a command, and a study on the published labels.
EXAMPLES = {
    'realmnet/evaluation/prevalence.py': {'A4'},
    'tools/analysis_tools/decision_curve.py': {'A3', 'A4'},
    'tools/analysis_tools/evaluate.py': {'A4'},
    'tools/analysis_tools/recalibrate.py': {'A0', 'A4'},
    'tools/benchmarks/coverage_study.py': {'S1', 'A3', 'A4'},
}
NAMES = {*PSMM.classes, *PSMM.class_names, *PSMM.words, PSMM.disease, 'maculopathy', 'M'}
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ('realmnet', 'tools')
    for path in (ROOT / folder).rglob('*.py')
)


def named(source: str) -> set[str]:
    """Find the strings of a program, docstrings aside, that name a class of PSMM."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]
    return {name for text in texts for name in NAMES if re.search(rf'\b{name}\b', text)}


def test_a_named_class_is_found():
    assert named("x = {'A4': 1}") == {'A4'}
    assert named("f'Of S0 and {x}'") == {'S0'}
    assert named("'''A4 is the worst.'''\nx = 'a sample'") == set()


@pytest.mark.parametrize('file', [file for file in FILES if file not in OWN])
def test_no_module_names_a_class_of_psmm(file):
    assert named((ROOT / file).read_text(encoding='utf-8')) == (OTHERS | EXAMPLES).get(file, set())
