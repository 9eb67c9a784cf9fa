import copy
import csv
import json
import os
import re

import numpy as np
import pandas as pd
import pytest
from model_files import patches, small_description, write_model
from PIL import Image

from realmnet.apis import Inferencer
from realmnet.apis.folder import infer_folder
from realmnet.errors import InputError
from realmnet.reporting.findings_table import (
    NOTICE,
    display_name,
    from_spreadsheet,
    read_findings,
    spreadsheet_safe,
)

NAMES = [
    'ShenzhenEye-1_OD_2020-12-27_1.jpg',
    'ShenzhenEye-1_OD_2020-12-27_2.jpg',
    'ShenzhenEye-1_OS_2020-12-27_3.jpg',
    'sub/0_left.png',
    'photo.bmp',
    'photo.tif',
]


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    path = write_model(tmp_path_factory.mktemp('model') / 'model.pth')
    inferencer = Inferencer(path, 'cpu', batch_size=2)
    return inferencer, inferencer.trained.about()


def draw(folder, names=NAMES):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(patches(number)).save(path)
    return folder


@pytest.fixture
def folder(tmp_path):
    return draw(tmp_path / 'in')


def go(model, folder, out, **options):
    return infer_folder(model[0], folder, out, model[1], **options)


def thumbnails(out):
    return {path.name: path.read_bytes() for path in (out / 'thumbnails').iterdir()}


def table(out):
    return pd.read_csv(out / 'findings.csv', keep_default_na=False)


def test_everything_is_written_and_agrees(model, folder, tmp_path):
    out = tmp_path / 'out'
    seen = []
    (folder / 'notes.txt').write_text('x')
    result = go(model, folder, out, progress=lambda done, total: seen.append((done, total)))
    assert (result.new, result.earlier, result.ignored, result.problems) == (6, 0, 1, [])
    assert seen == [(i, 6) for i in range(1, 7)]
    frame = table(out)
    assert sorted(frame['filename']) == sorted(NAMES)
    for row in frame.to_dict('records'):
        finding = model[0].predict(folder / row['filename'])
        assert row['S1_score'] == pytest.approx(finding.scores['S1'], abs=1e-6)
        assert row['grade'] == finding.grade
        assert bool(row['pathologic_myopia']) is finding.pathologic_myopia
        assert row['found'].split() == list(finding.found)
    content = json.loads((out / 'findings.json').read_text())
    assert [f['filename'] for f in content['findings']] == frame['filename'].tolist()
    assert content['findings'][0]['scores'].keys() == set(model[0].description.classes)
    eyes, patients = pd.read_csv(out / 'eyes.csv'), pd.read_csv(out / 'patients.csv')
    assert dict(zip(eyes['eye'], eyes['images'], strict=True)) == {
        'ShenzhenEye-1 OD 2020-12-27': 2, 'ShenzhenEye-1 OS 2020-12-27': 1, 'sub/0 OS': 1,
    }  # fmt: skip
    assert dict(zip(patients['patient'], patients['images'], strict=True)) == {
        'ShenzhenEye-1': 3, 'sub/0': 1,
    }  # fmt: skip
    right = frame[frame['eye'] == 'ShenzhenEye-1 OD 2020-12-27']
    assert eyes['pathologic_myopia_score'][0] == right['pathologic_myopia_score'].max()
    assert eyes['grade'][0] == right['grade'].max()
    for name in result.files:
        assert (out / name).is_file(), name
    assert Image.open(out / 'sheet_001.jpg').width > 700


def test_every_output_says_what_it_is_not(model, folder, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    (folder / 'broken.jpg').write_text('x')
    go(model, folder, out)
    for name in ('findings.csv', 'eyes.csv', 'patients.csv', 'problems.csv'):
        rows = list(csv.DictReader((out / name).open()))
        assert rows
        assert {row['notice'] for row in rows} == {NOTICE}
    for name in ('findings.json', 'settings.json'):
        assert json.loads((out / name).read_text())['notice'] == NOTICE
    assert NOTICE in (out / 'report.html').read_text()
    with_notice = Image.open(out / 'sheet_001.jpg').tobytes()
    monkeypatch.setattr('realmnet.reporting.contact_sheet.NOTICE', '')
    go(model, folder, out)
    assert Image.open(out / 'sheet_001.jpg').tobytes() != with_notice


def test_names_of_strangers(model, tmp_path):
    names = ['=1+1.png', '+a.png', '-b.png', '@c.png', "'d.png", 'a,"b.png', 'back\\slash.png',
             'new\nline.png', '<script>alert(1)</script>&.png'.replace('/', '∕')]  # fmt: skip
    folder = draw(tmp_path / 'in', names)
    raw = os.fsencode(folder) + b'/not utf \xff.png'
    with open(raw, 'wb') as file:  # noqa: PTH123
        file.write((folder / '+a.png').read_bytes())
    out = tmp_path / 'out'
    result = go(model, folder, out)
    assert result.new == len(names) + 1
    assert result.problems == []
    text = (out / 'findings.csv').read_text(encoding='utf-8')
    assert len(text.splitlines()) == len(names) + 2  # one line a picture
    stored = table(out)['filename'].tolist()
    assert not [name for name in stored if name[0] in '=+-@']
    assert {from_spreadsheet(name) for name in stored} == {
        display_name(path.relative_to(folder)) for path in folder.iterdir()
    }
    page = (out / 'report.html').read_text(encoding='utf-8')
    assert '<script' not in page
    assert '&lt;script&gt;' in page
    # and all of them are found again
    assert go(model, folder, out).new == 0


def test_names_stay_different_and_come_back():
    names = [
        'a\nb',
        'a\\nb',
        'a\\\nb',
        '\udcff',
        '\\udcff',
        'ä b',
        "'=a",
        '=a',
        'a\u202eb',
        'a\x1bb',
    ]
    shown = [display_name(name) for name in names]
    assert len(set(shown)) == len(names)
    assert all(name.isprintable() for name in shown)
    assert display_name('ä b') == 'ä b'
    for name in shown:
        assert from_spreadsheet(spreadsheet_safe(name)) == name


def test_report_stands_alone(model, folder, tmp_path):
    go(model, folder, tmp_path / 'out')
    page = (tmp_path / 'out' / 'report.html').read_text(encoding='utf-8')
    sources = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^"> )]{1,30})', page)
    assert sources
    assert all(source.startswith('data:image/jpeg;base64,') for source in sources)
    assert 'http://' not in page
    assert 'https://' not in page
    assert "default-src 'none'" in page
    assert not re.findall(r'\$\w', page)  # no field of the template is left


class Stopped(Exception):
    """Stands for the machine being switched off."""


def test_interrupted_work_continues(model, folder, tmp_path, monkeypatch):
    whole, out = tmp_path / 'whole', tmp_path / 'out'
    go(model, folder, whole)

    def stop(done, total):
        if done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        go(model, folder, out, progress=stop)
    kept = (out / 'findings.csv').read_text()
    assert len(kept.splitlines()) == 4
    # the last row was being written
    (out / 'findings.csv').write_text(kept + 'sub/0_left.png,,,0.1')
    opened = []
    read = model[0].read_with_notes
    monkeypatch.setattr(model[0], 'read_with_notes', lambda path: opened.append(path) or read(path))
    result = go(model, folder, out)
    assert (result.new, result.earlier) == (3, 3)
    assert len(opened) == 3
    assert result.summary.pictures == 6
    one, other = (pd.read_csv(f / 'findings.csv') for f in (out, whole))
    numbers = one.select_dtypes('number').columns
    assert (one.drop(columns=numbers).fillna('') == other.drop(columns=numbers).fillna('')).all(
        None
    )
    assert np.abs(one[numbers] - other[numbers]).max(None) < 1e-5
    for name in ('sheet_001.jpg', 'eyes.csv'):
        assert (out / name).stat().st_size == pytest.approx((whole / name).stat().st_size, rel=0.01)


def test_header_that_was_cut_off(model, folder, tmp_path):
    go(model, folder, tmp_path / 'out', report=False)
    (tmp_path / 'out' / 'findings.csv').write_text('filename,pat')
    result = go(model, folder, tmp_path / 'out', report=False)
    assert (result.new, result.earlier) == (6, 0)


def test_new_pictures_are_added_and_repaired_ones_read(model, folder, tmp_path):
    out = tmp_path / 'out'
    good = (folder / 'photo.bmp').read_bytes()
    (folder / 'later.bmp').write_bytes(good[:100])
    assert len(go(model, folder, out).problems) == 1
    (folder / 'later.bmp').write_bytes(good)
    result = go(model, folder, out)
    assert (result.new, result.earlier, result.problems) == (1, 6, [])
    assert (out / 'problems.csv').read_text('utf-8-sig') == 'filename,problem,notice\n'


def test_findings_of_other_settings_are_not_mixed(model, folder, tmp_path):
    out = tmp_path / 'out'
    go(model, folder, out)
    before = (out / 'findings.csv').read_bytes()
    other = write_model(tmp_path / 'other.pth', small_description(std=(100.0, 100.0, 100.0)))
    for changed, what in [
        ((Inferencer(other, 'cpu'), {'name': 'other.pth', 'sha256': 'x'}), 'model'),
        ((model[0], {**model[1], 'sha256': 'x'}), 'model'),
    ]:
        with pytest.raises(InputError, match=f'made with another {what}'):
            go(changed, folder, out)
    flipping = Inferencer(tmp_path / 'other.pth', 'cpu', flip=True)
    with pytest.raises(InputError, match='made with another flip'):
        go((flipping, model[1]), folder, out)
    with pytest.raises(InputError, match='made with another folder'):
        go(model, draw(tmp_path / 'in2'), out)
    assert (out / 'findings.csv').read_bytes() == before


def test_output_folders_that_cannot_be(model, folder, tmp_path):
    for out in (folder, folder / 'out', tmp_path):
        with pytest.raises(InputError, match='overlaps'):
            go(model, folder, out)
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot be written'):
        go(model, folder, tmp_path / 'file' / 'out')
    (tmp_path / 'used').mkdir()
    (tmp_path / 'used' / 'thesis.txt').write_text('x')
    with pytest.raises(InputError, match='not made by this tool'):
        go(model, folder, tmp_path / 'used')
    assert [p.name for p in (tmp_path / 'used').iterdir()] == ['thesis.txt']
    (tmp_path / 'damaged').mkdir()
    for content in (b'{', b'[]', b'"a"', b'{"a": "\xff"}'):
        (tmp_path / 'damaged' / 'settings.json').write_bytes(content)
        with pytest.raises(InputError, match=r'settings\.json: is damaged'):
            go(model, folder, tmp_path / 'damaged')


def test_findings_with_bytes_that_are_no_text(model, folder, tmp_path):
    go(model, folder, tmp_path / 'out', report=False)
    with (tmp_path / 'out' / 'findings.csv').open('ab') as file:
        file.write(b'a\xff.jpg,1\n')
    with pytest.raises(InputError, match=r'findings\.csv, line \d+: the row is damaged'):
        go(model, folder, tmp_path / 'out', report=False)


def test_links_out_of_the_folder_are_not_followed(model, folder, tmp_path):
    secret = draw(tmp_path / 'elsewhere', ['secret.png'])
    (folder / 'link.png').symlink_to(secret / 'secret.png')
    (folder / 'inside.png').symlink_to(folder / 'photo.tif')
    (folder / 'linked').symlink_to(secret)
    result = go(model, folder, tmp_path / 'out')
    assert [name for name, _ in result.problems] == ['link.png']
    assert 'is a link out of the folder' in result.problems[0][1]
    stored = table(tmp_path / 'out')['filename'].tolist()
    assert 'inside.png' in stored
    assert not [name for name in stored if 'secret' in name or 'link.png' in name]


def test_problems_do_not_name_folders_of_this_machine(model, folder, tmp_path):
    (folder / 'broken.jpg').write_text('x')
    go(model, folder, tmp_path / 'out')
    for name in ('problems.csv', 'findings.json', 'report.html', 'findings.csv', 'eyes.csv'):
        assert str(tmp_path) not in (tmp_path / 'out' / name).read_text(), name
    assert (
        json.loads((tmp_path / 'out' / 'findings.json').read_text())['settings']['folder'] == 'in'
    )
    assert '<div class="meta">Folder in<br>' in (tmp_path / 'out' / 'report.html').read_text()


def test_problems_name_the_picture_as_it_is(model, tmp_path, monkeypatch):
    """In a folder whose name ends that of a folder below it."""
    (tmp_path / 'in' / 'main').mkdir(parents=True)
    (tmp_path / 'in' / 'main' / 'x.jpg').write_text('x')
    monkeypatch.chdir(tmp_path)
    result = go(model, 'in', 'out')
    assert result.problems[0][1].startswith('main/x.jpg: ')


def test_two_runs_on_one_output_are_refused(model, folder, tmp_path):
    out = tmp_path / 'out'
    refused = []

    def second(done, total):
        with pytest.raises(InputError, match='another run is at work') as error:
            go(model, folder, out)
        refused.append(error)

    go(model, folder, out, progress=second)
    assert len(refused) == len(NAMES)
    assert sorted(table(out)['filename']) == sorted(NAMES)
    assert go(model, folder, out).new == 0  # and nothing stays locked


def test_rows_of_two_runs_are_noticed(model, folder, tmp_path):
    out = tmp_path / 'out'
    go(model, folder, out, report=False)
    text = (out / 'findings.csv').read_text()
    (out / 'findings.csv').write_text(text + text.splitlines()[3] + '\n')
    with pytest.raises(InputError, match='has more than one row of'):
        go(model, folder, out, report=False)


def test_a_report_that_comes_later_has_its_pictures(model, folder, tmp_path):
    whole, out = tmp_path / 'whole', tmp_path / 'out'
    go(model, folder, whole)
    go(model, folder, out, report=False)
    (folder / 'zz.bmp').write_bytes((folder / 'photo.bmp').read_bytes())
    (folder / NAMES[1]).rename(tmp_path / 'gone.jpg')
    seen = []
    result = go(model, folder, out, progress=lambda done, total: seen.append((done, total)))
    assert (result.new, result.earlier, result.gone) == (1, 5, [NAMES[1]])
    assert seen == [(i, 6) for i in range(1, 7)]  # five thumbnails and a new picture
    kept, lost = thumbnails(out), thumbnails(whole)
    assert kept.items() <= lost.items()  # zz.bmp has the content of photo.bmp
    assert len(lost) == len(kept) + 1
    page = (out / 'report.html').read_text(encoding='utf-8')
    assert page.count('data:image/jpeg;base64,') == 6


def test_thumbnails_of_rows_that_were_not_finished_are_not_shown(model, folder, tmp_path):
    out = tmp_path / 'out'
    go(model, folder, out)
    (out / 'findings.csv').unlink()
    (folder / '0.png').write_bytes((folder / 'sub/0_left.png').read_bytes())
    go(model, folder, out, report=False)  # every picture has another row now
    go(model, folder, out)
    go(model, folder, tmp_path / 'fresh')
    assert thumbnails(out) == thumbnails(tmp_path / 'fresh')


@pytest.mark.parametrize('content', ['[]', '3', '{', 'null'])
def test_a_record_that_is_none(model, folder, tmp_path, content):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'settings.json').write_text(content)
    with pytest.raises(InputError, match='is damaged'):
        go(model, folder, tmp_path / 'out')


def test_other_classes_get_scores_and_no_grade(folder, tmp_path):
    path = write_model(tmp_path / 'm.pth', small_description(('N', 'D')))
    out = tmp_path / 'out'
    go((Inferencer(path, 'cpu'), {'name': 'm.pth', 'sha256': 'x'}), folder, out)
    frame = table(out)
    assert 'grade' not in frame
    assert 'pathologic_myopia' not in frame
    assert len(list(read_findings(out / 'findings.csv', ('N', 'D')))) == 6


def test_without_report(model, folder, tmp_path):
    result = go(model, folder, tmp_path / 'out', report=False)
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {
        'findings.csv', 'findings.json', 'problems.csv', 'settings.json', 'eyes.csv', 'patients.csv'
    }  # fmt: skip
    assert result.files == ['findings.csv', 'findings.json', 'problems.csv', 'eyes.csv',
                            'patients.csv']  # fmt: skip


def test_sheets_have_pages(model, tmp_path):
    folder = draw(tmp_path / 'in', [f'{i:03d}.png' for i in range(45)])
    result = go(model, folder, tmp_path / 'out')
    assert [f for f in result.files if 'sheet' in f] == ['sheet_001.jpg', 'sheet_002.jpg']


def test_damaged_findings_are_said(model, folder, tmp_path):
    out = tmp_path / 'out'
    go(model, folder, out, report=False)
    lines = (out / 'findings.csv').read_text().splitlines()
    (out / 'findings.csv').write_text('\n'.join([*lines[:2], 'a,b,c', *lines[3:], '']))
    with pytest.raises(InputError, match='line 3: the row is damaged'):
        go(model, folder, out, report=False)


def test_damaged_pictures_are_problems_or_accepted_and_marked(model, folder, tmp_path):
    Image.fromarray(patches(1)).save(folder / 'cut.jpg', quality=95)
    data = (folder / 'cut.jpg').read_bytes()
    (folder / 'cut.jpg').write_bytes(data[:-2])
    result = go(model, folder, tmp_path / 'out', report=False)
    assert 'cut.jpg: cannot be read whole' in result.problems[0][1]
    accepting = copy.copy(model[0])
    accepting.accept_damaged = True
    for _ in range(2):  # what was said of a row is kept when the work is continued
        result = infer_folder(accepting, folder, tmp_path / 'out', model[1])
        assert not result.problems
        ((name, note),) = result.notes
        assert name == 'cut.jpg' and note.startswith('damaged: ') and note.endswith(', accepted')
        assert 'cut.jpg' in table(tmp_path / 'out')['filename'].tolist()
        problems = pd.read_csv(tmp_path / 'out' / 'problems.csv')
        assert problems[['filename', 'problem']].values.tolist() == [[name, note]]
