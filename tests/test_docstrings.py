"""The examples of the docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import realmnet

MODULES = [m.name for m in pkgutil.walk_packages(realmnet.__path__, 'realmnet.')]


@pytest.mark.parametrize('name', MODULES)
def test_examples(name):
    failed, _ = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [t for n in MODULES for t in finder.find(importlib.import_module(n)) if t.examples]
    assert len(tests) > 60
