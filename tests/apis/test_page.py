"""What the page answers; tests/integration/test_page_in_browser.py drives it in a browser."""

import json
import os
import re
import runpy
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from bad_files import huge_png
from model_files import NETWORK, patches, small_description, write_model
from PIL import Image

pytest.importorskip('gradio', reason='the page needs gradio: pip install -e .[demo]')

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from realmnet.apis import Inferencer
from realmnet.apis.one_picture import SHOWN_SIDE, Examiner
from realmnet.apis.page import NO_METHOD, Page
from realmnet.apis.page_server import POLICY, Guard, private_folder
from realmnet.deployment.description import KEY, Preprocessing
from realmnet.errors import InputError
from realmnet.evaluation.findings import findings_of
from realmnet.evaluation.thresholds import Thresholds
from realmnet.explain.methods import Explainer
from realmnet.reporting.picture_report import facts_html, maps_html, scores_html

MODEL = {'name': 'model.pth', 'sha256': 'ab' * 32}
TOOL = Path(__file__).parents[2] / 'tools' / 'demo.py'
ODIR = ('N', 'D', 'G', 'C', 'A', 'H', 'M')


@pytest.fixture(scope='module')
def examiner(tmp_path_factory):
    return Examiner(Inferencer(write_model(tmp_path_factory.mktemp('m') / 'm.pth'), 'cpu'))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / 'eye.png'
    Image.fromarray(patches(3, 100, 150)).save(path)
    return path


def test_findings_are_those_of_the_inferencer(examiner, picture):
    assert examiner.examine(picture).finding == examiner.inferencer.predict(picture)


def test_heat_is_that_of_the_explainer_on_normalised_pixels(tmp_path, picture):
    description = small_description(mean=(10.0, 20.0, 30.0), std=(50.0, 60.0, 70.0))
    inferencer = Inferencer(write_model(tmp_path / 'm.pth', description), 'cpu')
    examiner, seen = Examiner(inferencer), []
    examined = examiner.examine(picture)
    inferencer.network.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    heat = examiner.heat(examined, 'A3', 'hirescam')
    expected = (inferencer.read(picture) - np.array([10.0, 20, 30])) / np.array([50.0, 60, 70])
    assert np.abs(seen[-1][0].permute(1, 2, 0).numpy() - expected).max() < 1e-5
    again = Explainer(inferencer.network, 'hirescam').maps(seen[-1], [5])[0, 0]
    assert np.abs(heat - again).max() < 1e-5
    number = len(seen)
    assert examiner.heat(examined, 'A3', 'hirescam') is heat
    assert len(seen) == number  # kept, not computed again


def test_every_method_of_the_model_gives_a_map(examiner, picture):
    examined = examiner.examine(picture)
    for method in examiner.methods:
        heat = examiner.heat(examined, 'A4', method)
        assert heat.shape == (64, 64)
        assert heat.min() == 0
        assert heat.max() in (0, 1)
    assert set(examined.heat) == {('A4', method) for method in examiner.methods}


@pytest.mark.parametrize(('name', 'method'), [('B9', 'hirescam'), ('A4', 'magic')])
def test_what_cannot_be_explained(examiner, picture, name, method):
    with pytest.raises(InputError, match='no heat map of'):
        examiner.heat(examiner.examine(picture), name, method)


@pytest.mark.parametrize(
    ('options', 'shape'),
    [
        ({}, (round(SHOWN_SIDE / 1.5), SHOWN_SIDE)),
        ({'keep_aspect': True}, (SHOWN_SIDE, SHOWN_SIDE)),
        ({'crop_border': True}, (round(SHOWN_SIDE / 1.5), SHOWN_SIDE)),
    ],
)
def test_shown_is_what_the_network_saw_without_stretching(tmp_path, options, shape):
    description = small_description(preprocessing=Preprocessing(64, 'area', **options))
    examiner = Examiner(Inferencer(write_model(tmp_path / 'm.pth', description), 'cpu'))
    pixels = patches(1, 200, 300)
    if 'crop_border' in options:
        framed = np.zeros((400, 420, 3), np.uint8)
        framed[70:270, 40:340] = np.maximum(pixels, 60)
        pixels = framed
    Image.fromarray(pixels).save(tmp_path / 'eye.png')
    examined = examiner.examine(tmp_path / 'eye.png')
    assert abs(examined.shown.shape[0] - shape[0]) <= 4
    assert abs(examined.shown.shape[1] - shape[1]) <= 4
    small = cv2.resize(examined.shown, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - examined.prepared).mean() < 6  # a wrong view: over 25


def test_methods_without_attention(tmp_path):
    head = {'type': 'MultiLabelLinearClsHead', 'num_classes': 7, 'in_channels': 16}
    backbone = {**NETWORK['backbone'], 'gap_before_final_norm': True}
    network = {**NETWORK, 'backbone': backbone, 'head': head}
    model = write_model(tmp_path / 'm.pth', small_description(network=network))
    examiner = Examiner(Inferencer(model, 'cpu'))
    assert Page(examiner, MODEL).methods == ('gradcam++', 'hirescam')
    with pytest.raises(InputError, match=r"methods are \['attention'\], expected one or two of"):
        Page(examiner, MODEL, ['attention'])


def test_three_methods_are_too_many(examiner):
    assert Page(examiner, MODEL).methods == ('gradcam++', 'attention')
    with pytest.raises(InputError, match='expected one or two'):
        Page(examiner, MODEL, ['gradcam', 'hirescam', 'attention'])


def scores(**values):
    full = dict.fromkeys(small_description().classes, 0.05) | values
    return np.array([list(full.values())])


def text(html):
    return re.sub(r'\s+', ' ', re.sub('<[^>]*>', ' ', html))


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        (dict(S1=0.9, A3=0.8),
         ['Pathologic myopia yes score 0.90, yes from 0.50',
          'Myopic maculopathy A3 patchy chorioretinal atrophy score 0.80',
          'Posterior staphyloma yes score 0.90 against 0.05']),
        (dict(S0=0.9, A1=0.8),
         ['Pathologic myopia no score 0.05', 'A1 tessellated fundus only',
          'Posterior staphyloma no score 0.05 against 0.90']),
        (dict(S0=0.5, S1=0.52, A1=0.8),
         ['Pathologic myopia uncertain rather yes, score 0.52, yes from 0.50 too close to call',
          'Posterior staphyloma uncertain rather yes']),
    ],
)  # fmt: skip
def test_facts_in_words(values, said):
    description = small_description()
    finding = findings_of(scores(**values), description.classes)[0]
    for sentence in said:
        assert sentence in text(facts_html(finding, description))


def test_scores_with_the_thresholds_of_the_model():
    description = small_description()
    cuts = dict(zip(description.classes, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], strict=True))
    description = small_description(thresholds=Thresholds(cuts, 'f1', list(cuts), images=9))
    finding = findings_of(scores(S0=0.9, A4=0.65), description.classes, description.thresholds)[0]
    rows = re.findall('<tr class.*?</tr>', scores_html(finding, description))
    assert [text(row).split()[-1] for row in rows] == [f'0.{i}0' for i in range(1, 8)]
    assert 'left:70.0%' in rows[6]
    assert 'width:65.0%' in rows[6]
    assert ['found' in row.partition('>')[0] for row in rows] == [True] + 5 * [False] + [True]


def test_other_classes_have_no_grade(tmp_path, picture):
    description = small_description(
        ODIR, class_names=('normal', 'D', 'G', 'C', 'A', 'H', 'myopia'), diagnosis=['M']
    )
    examiner = Examiner(Inferencer(write_model(tmp_path / 'm.pth', description), 'cpu'))
    page = Page(examiner, MODEL)
    session = page.examine(picture)
    summary = text(page.summary(session))
    assert 'Pathologic myopia' in summary
    assert 'M myopia' in summary
    assert 'N normal' in summary
    assert ' A ' in summary
    assert 'maculopathy' not in summary
    assert page.first_class(session) in ODIR
    session.close()
    assert facts_html(findings_of(scores(), ODIR)[0], small_description(ODIR)) == ''


def test_classes_of_psmms_names_in_another_schema_have_no_words_of_it():
    description = small_description(schema='glaucoma')
    finding = findings_of(scores(S1=0.9, A4=0.8), description.label_schema)[0]
    said = text(facts_html(finding, description) + scores_html(finding, description))
    assert finding.grade is finding.staphyloma is finding.pathologic_myopia is None
    assert finding.found == ('S1', 'A4')
    for word in ('myopia', 'staphyloma', 'atrophy', 'maculopathy'):
        assert word not in said


def test_a_map_without_heat_is_said_to_be_one():
    description = small_description()
    finding = findings_of(scores(S1=0.9, A3=0.8), description.classes)[0]
    cold, warm = np.zeros((8, 8)), np.eye(8)
    html = maps_html(patches(1), 'A3', {'gradcam': cold, 'hirescam': warm}, finding, description)
    assert text(html).count('no place speaks for this class') == 1
    assert html.count('<img') == 3


def test_report_stands_alone_and_holds_the_maps_that_were_opened(examiner, tmp_path):
    path = tmp_path / '<img src=x onerror=alert(1)>$notice.png'
    Image.fromarray(patches(3)).save(path)
    page = Page(examiner, MODEL)
    session = page.examine(path)
    page.explain(session, 'A3', ['gradcam++', 'attention'])
    page.explain(session, 'S1', ['hirescam'])
    report, data = page.write(session)
    html = report.read_text()
    assert report.name == 'img_src_x_onerror_alert_1_notice_findings.html'
    assert '&lt;img src=x onerror=alert(1)&gt;$notice.png' in html
    assert 'onerror=alert(1)>' not in html
    assert html.count('<img') == 3 + 2
    assert set(re.findall(r'src="([^"]{10})', html)) == {'data:image'}
    assert 'http' not in html.replace('http-equiv', '')
    assert '<script' not in html
    assert 'not a medical device' in html
    assert MODEL['sha256'] in html
    content = json.loads(data.read_text())
    assert content['notice'].startswith('Research software')
    assert content['findings'][0]['scores'] == session.picture.finding.scores
    session.close()
    assert not report.exists()


def test_a_file_is_gone_when_its_answer_is_there(examiner, picture, tmp_path):
    """Bad, good, another good one: what is open changes, and nothing is left behind."""
    page = Page(examiner, MODEL)
    bad = tmp_path / 'uploaded' / 'bad.jpg'
    bad.parent.mkdir()
    bad.write_text('no picture')
    session, *_, problem, summary, empty, result, name, _ = page._uploaded(str(bad), None)
    assert session is None
    assert name is None
    assert 'bad.jpg: cannot be read' in problem['value']
    assert str(tmp_path) not in problem['value']
    assert [problem['visible'], summary['visible'], empty['visible'], result['visible']] == [
        True, False, True, False,
    ]  # fmt: skip
    assert not bad.parent.exists()

    copy = tmp_path / 'copy.png'
    copy.write_bytes(picture.read_bytes())
    first, *_, problem, summary, empty, result, name, _ = page._uploaded(str(copy), None)
    assert not copy.exists()
    assert [problem['visible'], summary['visible'], empty['visible'], result['visible']] == [
        False, True, False, True,
    ]  # fmt: skip
    maps, report, _ = page._show(first, name, 'hirescam', NO_METHOD)
    assert maps.count('<img') == 2
    assert Path(report).is_file()
    before = Path(report).read_text()
    with Path(report).open() as download:  # goes on while the next report takes its place
        begun = download.read(10)
        page._show(first, name, 'gradcam', 'attention')
        assert begun + download.read() == before
    assert Path(report).read_text().count('<img') == 4
    second, *_ = page._open(picture, first)
    assert not Path(report).exists()
    assert picture.exists()  # an example is kept
    second.close()
    maps, *files = page._show(None, name, 'gradcam', NO_METHOD)
    assert 'upload it again' in maps
    assert files == [None, None]


def dicom_without_pixels(path):
    pydicom = pytest.importorskip('pydicom')
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = '1.2.3'
    data = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.PatientName = 'Somebody'
    data.save_as(path, enforce_file_format=True)


def animation(path):
    frames = [Image.new('RGB', (64, 64), (80 * i, 0, 0)) for i in range(3)]
    kind = {'.jpg': 'GIF'}.get(path.suffix)
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ('name', 'write', 'sentence'),
    [
        ('dot.png', lambda p: Image.new('RGB', (1, 1)).save(p), 'the picture has 1 x 1 pixels'),
        ('huge.png', huge_png, 'more than 120 million pixels'),
        (
            'text.jpg',
            lambda p: p.write_text('hello'),
            'it is not a JPEG, PNG, TIFF, BMP, WebP, JPEG 2000',
        ),
        ('empty.jpg', lambda p: p.write_bytes(b''), 'the file is empty'),
        ('gif.jpg', animation, 'it is not a JPEG, PNG, TIFF, BMP, WebP, JPEG 2000'),
        ('anim.png', animation, 'has 3 pages or frames'),
        ('pages.tif', animation, 'has 3 pages or frames'),
        ('none.dcm', dicom_without_pixels, 'no pixel data'),
    ],
)
def test_bad_files_give_one_sentence(examiner, tmp_path, name, write, sentence):
    write(tmp_path / name)
    with pytest.raises(InputError, match=sentence) as error:
        examiner.examine(tmp_path / name)
    assert str(error.value).startswith(f'{name}: ')
    assert '\n' not in str(error.value)
    assert 'Somebody' not in str(error.value)


@pytest.mark.parametrize(
    ('arguments', 'sentences'),
    [
        (['other.pth'], ["its description names the classes ['S0'", "its training had ['P0'"]),
        (['good.pth', '--methods', 'magic'], ["methods are ['magic'], expected one or two of"]),
        (['good.pth', '--examples', 'nowhere'], ['nowhere: no such folder']),
        (['good.pth', '--port', '{taken}'], ['cannot listen on 127.0.0.1, port', 'in use']),
        (['good.pth', '--port', '99999'], ['cannot listen on 127.0.0.1, port 99999']),
        (['good.pth', '--port', '0'], ['cannot listen on 127.0.0.1, port 0 (0 is no port)']),
        (['nothing.pth'], ['nothing.pth']),
    ],
)
def test_the_tool_says_what_is_wrong_in_one_line(
    tmp_path, monkeypatch, capsys, arguments, sentences
):
    description = small_description()
    write_model(tmp_path / 'good.pth', description)
    other = {'classes': ('P0', 'P1', 'P2', 'P3', 'P4', 'P5', 'P6')}
    meta = {KEY: description.to_json(), 'dataset_meta': other}
    write_model(tmp_path / 'other.pth', description, meta)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('signal.signal', lambda *_: None)
    monkeypatch.setenv('GRADIO_TEMP_DIR', 'before')
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = [argument.format(taken=port) for argument in arguments]
        monkeypatch.setattr('sys.argv', ['demo.py', *arguments])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(TOOL), run_name='__main__')
    assert stopped.value.code == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith('error: ')
    assert not any(line.startswith(('error: ', 'Traceback')) for line in lines[:-1])
    for sentence in sentences:
        assert sentence in lines[-1]


def test_examples_are_found_or_missed_at_once(examiner, picture):
    page = Page(examiner, MODEL, examples=picture.parent)
    assert page.examples == {'eye.png': picture}
    with pytest.raises(InputError, match='no such folder'):
        Page(examiner, MODEL, examples=picture.parent / 'nowhere')


def test_the_page_can_be_laid_out_and_hides_its_interface(examiner):
    blocks = Page(examiner, MODEL).blocks()
    assert os.environ['GRADIO_ANALYTICS_ENABLED'] == 'False'
    assert blocks.analytics_enabled is False
    assert blocks.get_api_info() == {'named_endpoints': {}, 'unnamed_endpoints': {}}
    limits = {(f.concurrency_id, f.concurrency_limit) for f in blocks.fns.values()}
    assert limits == {('model', 1)}


def answers(hosts):
    app = Starlette(routes=[Route('/', lambda _: PlainTextResponse('page'))])
    return TestClient(Guard(app, hosts), base_url='http://127.0.0.1:7860')


@pytest.mark.parametrize(
    ('host', 'status'),
    [
        ('127.0.0.1:7860', 200),
        ('localhost:7860', 200),
        ('[::1]:7860', 200),
        ('localhost', 200),
        ('evil.example:7860', 421),
        ('127.0.0.1.evil.example', 421),
        ('', 421),
    ],
)
def test_only_its_own_name_is_answered_and_always_with_the_policy(host, status):
    client = answers(('127.0.0.1', 'localhost', '::1'))
    answer = client.get('/', headers={'Host': host})
    assert answer.status_code == status
    assert answer.headers['content-security-policy'] == POLICY
    assert (answer.text == 'page') == (status == 200)
    assert answers(None).get('/', headers={'Host': host}).status_code == 200


def test_private_folder_goes(monkeypatch):
    monkeypatch.setattr('signal.signal', lambda *_: None)
    monkeypatch.setenv('GRADIO_TEMP_DIR', 'before')
    with private_folder():
        folder = Path(os.environ['GRADIO_TEMP_DIR'])
        assert folder.stat().st_mode & 0o077 == 0
        (folder / 'picture.jpg').write_bytes(b'x')
    assert not folder.exists()
