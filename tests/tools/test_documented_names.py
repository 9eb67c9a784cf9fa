"""Options, choices and names that README and docs print are those of the tools."""

import argparse
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'data' / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
#: Options of tests/run.sh.
FOREIGN = {'--all'}
#: Shell scripts hand their options to these.
SCRIPTS = {
    'tools/dist_train.sh': 'tools/train.py',
    'tools/slurm_train.sh': 'tools/train.py',
    'tools/dist_test.sh': 'tools/test.py',
    'tools/slurm_test.sh': 'tools/test.py',
}


class Parser(Exception):
    """Carries a tool's parser out of its main function."""


@pytest.fixture(scope='module')
def parsers():
    def give(self, *args, **kwargs):
        raise Parser(self)

    patch, found = pytest.MonkeyPatch(), {}
    patch.setattr(argparse.ArgumentParser, 'parse_args', give)
    for path in sorted((ROOT / 'tools').rglob('*.py')):
        if path.name == 'launch.py':  # torchrun's own options
            continue
        patch.setattr(sys, 'argv', [str(path)])
        with pytest.raises(Parser) as caught:
            runpy.run_path(str(path), run_name='tool')['main']()
        found[str(path.relative_to(ROOT))] = caught.value.args[0]
    patch.undo()
    return found


def options(parser):
    return {name: action for action in parser._actions for name in action.option_strings}


def commands():
    """Yield page, tool and the words after it, of every command that runs a tool."""
    for page in PAGES:
        text = re.sub(r'\\\s*\n\s*', ' ', page.read_text(encoding='utf-8'))
        for block in re.findall(r'```(?:shell|bash|sh)\n(.*?)```', text, re.DOTALL):
            for line in block.splitlines():
                yield from _command(page, line)
        for inline in re.findall(r'`([^`\n]+)`', re.sub(r'```.*?```', '', text, flags=re.DOTALL)):
            yield from _command(page, inline)


def _command(page, line):
    words = line.partition(' #')[0].split()
    for place, word in enumerate(words):
        if re.fullmatch(r'tools/[\w/]+\.(py|sh)', word):
            yield page.name, word, words[place + 1 :]
            return


def test_every_command_uses_options_and_choices_of_its_tool(parsers):
    seen = 0
    for page, tool, words in commands():
        assert (ROOT / tool).is_file(), f'{page}: {tool}'
        if SCRIPTS.get(tool, tool) not in parsers:
            continue
        known = options(parsers[SCRIPTS.get(tool, tool)])
        option = None
        for word in words:
            word = word.rstrip(',.;)')
            if word.startswith('--'):
                name, _, value = word.partition('=')
                assert name in known, f'{page}: {tool} has no option {name}'
                option, seen = known[name], seen + 1
                values = [value] if value else []
            else:
                values = [word] if option is not None and option.nargs in ('+', '*') else []
                if option is not None and option.nargs is None:
                    values, option = [word], None
            choices = known[name].choices if values else None
            if choices and re.match(r'\w', values[0]):
                kind = known[name].type or str
                assert kind(values[0]) in choices, f'{page}: {tool} {name} {values[0]}'
    assert seen > 60


def test_every_option_in_the_prose_belongs_to_some_tool(parsers):
    known = set().union(*(options(parser) for parser in parsers.values()))
    for page in PAGES:
        text = re.sub(r'```.*?```', '', page.read_text(encoding='utf-8'), flags=re.DOTALL)
        for inline in re.findall(r'`([^`\n]+)`', text):
            if inline.startswith(('pip ', 'git ', 'docker ')):
                continue
            for name in re.findall(r'(?<![\w-])--[a-z][a-z0-9-]+', inline):
                assert name in known | FOREIGN, f'{page.name}: no tool has {name}'


def test_choices_written_with_bars_are_all_those_of_the_tools(parsers):
    """``--method a|b|c`` in a page names choices that some tool has for that option."""
    checked = 0
    for page in PAGES:
        for name, bars in re.findall(r'`(--[a-z-]+) ([\w+-]+(?:\|[\w+-]+)+)`', page.read_text()):
            sets = [set(map(str, a.choices)) for p in parsers.values()
                    if (a := options(p).get(name)) and a.choices]  # fmt: skip
            if sets:
                assert any(set(bars.split('|')) <= s for s in sets), f'{page.name}: {name} {bars}'
                checked += 1
    assert checked


def test_methods_of_heat_maps_are_named_as_the_tool_names_them(parsers):
    from realmnet.explain.methods import METHODS

    text = (ROOT / 'docs' / 'findings.md').read_text(encoding='utf-8')
    section = text.partition('Methods:')[2].partition('![')[0]
    assert set(re.findall(r'`([a-z+]+)`', section)) == set(METHODS)
    help_text = options(parsers['tools/visualization/explain.py'])['--method'].help
    assert all(name in help_text for name in METHODS)


def test_names_of_metrics_and_methods_in_evaluation_are_the_codes(parsers):
    from realmnet.evaluation.intervals import METHODS
    from realmnet.evaluation.thresholds import RULES

    text = (ROOT / 'docs' / 'evaluation.md').read_text(encoding='utf-8')
    rules = re.search(r'Rules: (.*?)\.', text)[1]
    assert set(re.findall(r'`(\w+)`', rules)) == set(RULES)
    forms = re.search(r'Other forms: `--method ([\w|-]+)`', text)[1]
    assert set(forms.split('|')) | {'logit-t'} == set(METHODS)
