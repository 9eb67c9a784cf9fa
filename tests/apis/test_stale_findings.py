"""Findings of an earlier run count only while their pictures are what they were."""

import csv
import json
import os
import shutil

import pytest
from model_files import patches, small_description, write_model
from PIL import Image

from realmnet.apis import Inferencer
from realmnet.apis.folder import infer_folder
from realmnet.curation import content
from realmnet.deployment.picture_model import PictureModel
from realmnet.reporting.findings_table import columns

NAMES = ['P1_OD.png', 'b/P3_OS.png', 'd.png', 'e.png']
EQUAL = ('findings.csv', 'findings.json', 'problems.csv', 'eyes.csv', 'patients.csv', 'report.html')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    path = write_model(tmp_path_factory.mktemp('model') / 'model.pth')
    # one at a time: scores then do not depend on the neighbours in a batch, not by one bit
    return Inferencer(path, 'cpu', batch_size=1)


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(NAMES):
        draw(tmp_path / 'in' / name, number)
    return tmp_path / 'in'


def draw(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(patches(number)).save(path)


def go(model, folder, out, **options):
    return infer_folder(model, folder, out, {'name': 'm.pth', 'sha256': 'x'}, **options)


def rows(out):
    with (out / 'findings.csv').open(encoding='utf-8-sig', newline='') as file:
        return {row['filename']: row for row in csv.DictReader(file)}


def replaced(folder):
    draw(folder / 'P1_OD.png', 9)


def replaced_by_equal_size_and_time(folder):
    path = folder / 'd.png'
    data, state = bytearray(path.read_bytes()), path.stat()
    other = bytearray((folder / 'e.png').read_bytes())
    size = max(len(data), len(other))
    for target, new in ((path, other), (folder / 'e.png', data)):
        target.write_bytes(bytes(new).ljust(size, b'\0'))  # bytes behind the end are no damage
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def swapped(folder):
    (folder / 'd.png').rename(folder / 'x.png')
    (folder / 'e.png').rename(folder / 'd.png')
    (folder / 'x.png').rename(folder / 'e.png')


def taken_out(folder):
    (folder / 'P1_OD.png').unlink()


def renamed(folder):
    (folder / 'P1_OD.png').rename(folder / 'P9_OD.png')


def renamed_by_case(folder):
    (folder / 'P1_OD.png').rename(folder / 'p1_OD.png')


def broken(folder):
    (folder / 'd.png').write_bytes(b'\x89PNG')


def cut_off(folder):
    data = (folder / 'd.png').read_bytes()
    (folder / 'd.png').write_bytes(data[:-200])


def a_file_for_a_folder(folder):
    shutil.rmtree(folder / 'b')
    draw(folder / 'b.png', 3)


def a_folder_for_a_file(folder):
    (folder / 'd.png').unlink()
    draw(folder / 'd.png' / 'x.png', 5)


def a_link_out(folder):
    (folder.parent / 'secret.png').write_bytes((folder / 'd.png').read_bytes())
    (folder / 'd.png').unlink()
    (folder / 'd.png').symlink_to(folder.parent / 'secret.png')


def added_in_between(folder):
    draw(folder / 'aa.png', 7)


def all_at_once(folder):
    replaced(folder)
    taken_out_name = folder / 'e.png'
    taken_out_name.unlink()
    broken(folder)
    added_in_between(folder)


@pytest.mark.parametrize(
    'change',
    [replaced, replaced_by_equal_size_and_time, swapped, taken_out, renamed, renamed_by_case,
     broken, cut_off, a_file_for_a_folder, a_folder_for_a_file, a_link_out, added_in_between,
     all_at_once],
)  # fmt: skip
def test_a_continued_folder_equals_a_fresh_one(model, folder, tmp_path, change):
    out, fresh = tmp_path / 'out', tmp_path / 'fresh'
    go(model, folder, out)
    change(folder)
    go(model, folder, out)
    go(model, folder, fresh)
    for name in EQUAL:
        assert (out / name).read_bytes() == (fresh / name).read_bytes(), name
    thumbnails = [sorted(p.name for p in (f / 'thumbnails').iterdir()) for f in (out, fresh)]
    assert thumbnails[0] == thumbnails[1]
    sheets = [Image.open(f / 'sheet_001.jpg').tobytes() for f in (out, fresh)]
    assert sheets[0] == sheets[1]


def test_what_left_is_named(model, folder, tmp_path):
    go(model, folder, tmp_path / 'out')
    draw(folder / 'd.png', 9)
    (folder / 'P1_OD.png').unlink()
    result = go(model, folder, tmp_path / 'out')
    assert (result.gone, result.changed, result.undated) == (['P1_OD.png'], ['d.png'], 0)
    assert (result.new, result.earlier, result.summary.pictures) == (1, 2, 3)
    assert list(rows(tmp_path / 'out')) == ['b/P3_OS.png', 'd.png', 'e.png']


def test_a_touched_picture_is_not_read_again(model, folder, tmp_path):
    go(model, folder, tmp_path / 'out')
    for path in folder.rglob('*.png'):
        os.utime(path, (1, 1))
    result = go(model, folder, tmp_path / 'out')
    assert (result.new, result.earlier, result.changed) == (0, 4, [])


def test_a_broken_picture_that_is_replaced_or_gone_leaves_the_problems(model, folder, tmp_path):
    out = tmp_path / 'out'
    (folder / 'd.png').write_text('x')
    (folder / 'e.png').write_text('x')
    assert len(go(model, folder, out).problems) == 2
    draw(folder / 'd.png', 4)
    (folder / 'e.png').unlink()
    result = go(model, folder, out)
    assert result.problems == []
    assert result.new == 1
    assert len((out / 'problems.csv').read_text().splitlines()) == 1


def test_a_picture_that_changes_while_it_is_read_is_a_problem(model, folder, tmp_path, monkeypatch):
    read = PictureModel.read_with_notes

    def meanwhile(self, path):
        found = read(self, path)
        if path.name == 'd.png':
            draw(path, 11)
            os.utime(path, (1, 1))
        return found

    monkeypatch.setattr(PictureModel, 'read_with_notes', meanwhile)
    result = go(model, folder, tmp_path / 'out')
    assert [name for name, _ in result.problems] == ['d.png']
    assert 'was changed while it was read' in result.problems[0][1]
    monkeypatch.undo()
    assert go(model, folder, tmp_path / 'out').new == 1


def test_findings_of_an_earlier_version_are_read_again_once(model, folder, tmp_path):
    out = tmp_path / 'out'
    go(model, folder, out)
    whole = (out / 'findings.csv').read_bytes()
    earlier = [c for c in columns(model.description.classes)
               if c not in ('ungradable', 'size', 'digest')]  # fmt: skip
    stored = rows(out)
    with (out / 'findings.csv').open('w', encoding='utf-8', newline='') as file:  # no mark either
        writer = csv.DictWriter(file, earlier, extrasaction='ignore', lineterminator='\n')
        writer.writeheader()
        writer.writerows(stored.values())
    result = go(model, folder, out)
    assert (result.new, result.earlier, result.undated) == (4, 0, 4)
    assert (out / 'findings.csv').read_bytes() == whole
    assert go(model, folder, out).undated == 0


def test_tables_open_in_a_spreadsheet_and_have_one_mark(model, folder, tmp_path):
    out, mark = tmp_path / 'out', b'\xef\xbb\xbf'
    draw(folder / '患者1_OD.png', 3)
    (folder / '坏.png').write_text('x')
    go(model, folder, out)
    draw(folder / '患者1_OD.png', 8)
    go(model, folder, out)
    for name in ('findings.csv', 'problems.csv', 'eyes.csv', 'patients.csv'):
        data = (out / name).read_bytes()
        assert data.startswith(mark), name
        assert data.count(mark) == 1, name
    assert '患者1_OD.png' in rows(out)


def test_an_interrupted_change_loses_no_other_row(model, folder, tmp_path):
    out = tmp_path / 'out'
    go(model, folder, out)
    draw(folder / 'P1_OD.png', 9)

    class Stopped(Exception):
        pass

    def stop(done, total):
        raise Stopped

    with pytest.raises(Stopped):
        go(model, folder, out, progress=stop)
    assert set(rows(out)) == set(NAMES)
    result = go(model, folder, out)
    assert (result.new, result.earlier) == (0, 4)
    assert list(rows(out)) == NAMES  # in order again


def test_a_folder_that_cannot_be_listed_is_a_problem(model, folder, tmp_path, monkeypatch):
    scandir = os.scandir

    def locked(path):
        if os.fspath(path).endswith(os.sep + 'b'):
            raise PermissionError(13, 'Permission denied', os.fspath(path))
        return scandir(path)

    out = tmp_path / 'out'
    go(model, folder, out)
    monkeypatch.setattr(os, 'scandir', locked)
    result = go(model, folder, out)
    assert result.summary.pictures == 3
    assert [name for name, _ in result.problems] == ['b']
    assert result.problems[0][1].startswith('b: this folder cannot be listed (Permission denied)')
    assert result.gone == ['b/P3_OS.png']
    stored = json.loads((out / 'findings.json').read_text())['problems']
    assert [problem['filename'] for problem in stored] == ['b']
    monkeypatch.undo()
    assert go(model, folder, out).problems == []


def test_digests_are_those_of_the_files(model, folder, tmp_path):
    import hashlib

    go(model, folder, tmp_path / 'out')
    for name, row in rows(tmp_path / 'out').items():
        data = (folder / name).read_bytes()
        assert row['digest'] == hashlib.sha256(data).hexdigest()
        assert int(row['size']) == len(data)
        assert content.content_of(folder / name) == (len(data), row['digest'])


def test_other_classes_too(folder, tmp_path):
    path = write_model(tmp_path / 'm.pth', small_description(('N', 'D')))
    model = Inferencer(path, 'cpu', batch_size=1)
    go(model, folder, tmp_path / 'out')
    replaced(folder)
    go(model, folder, tmp_path / 'out')
    go(model, folder, tmp_path / 'fresh')
    one, other = (tmp_path / f / 'findings.csv' for f in ('out', 'fresh'))
    assert one.read_bytes() == other.read_bytes()
