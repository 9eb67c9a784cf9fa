"""The page in a real browser: upload, findings, heat maps, report, bad files, and no other host.

Set REALMNET_BROWSER to a Chromium where none is on the path. With REALMNET_SCREENSHOTS=FOLDER the
pictures of the page are kept, and REALMNET_PAGE_MODEL and REALMNET_PAGE_PICTURE replace the tiny
model and the picture in them; docs/demo.jpg was made so.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bad_files import huge_png
from model_files import patches, write_model
from PIL import Image

from realmnet.curation.label_schema import PSMM

pytest.importorskip('gradio', reason='the page needs gradio: pip install -e .[demo]')
playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')

ROOT = Path(__file__).parents[2]
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
WIDE, NARROW = {'width': 1280, 'height': 900}, {'width': 390, 'height': 844}


class Outside:
    """A proxy that connects nobody and counts who asks: whatever wants to leave the machine."""

    def __init__(self):
        self.asked = []
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.address = 'http://{}:{}'.format(*self.socket.getsockname())
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(200))


@pytest.fixture(scope='module')
def browser():
    named = os.environ.get('REALMNET_BROWSER')
    path = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path:
        pytest.skip('no browser: install chromium, or name one in REALMNET_BROWSER')
    with playwright.sync_playwright() as driver:
        arguments = ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1']
        try:
            browser = driver.chromium.launch(executable_path=path, args=arguments)
        except playwright.Error as error:
            if named:
                raise
            pytest.skip(f'{path} does not start ({error.message.splitlines()[0]})')
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def server(browser, tmp_path_factory):
    """The tool in a process of its own: (address, folder of its temporary files, outside)."""
    folder, outside = tmp_path_factory.mktemp('page'), Outside()
    model = os.environ.get('REALMNET_PAGE_MODEL') or write_model(folder / 'tiny.pth')
    examples, temporary = folder / 'examples', folder / 'temporary'
    examples.mkdir()
    temporary.mkdir()
    Image.fromarray(patches(5)).save(examples / 'example.png')
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '-1',
        'TMPDIR': str(temporary), 'NO_PROXY': '127.0.0.1,localhost',
        **dict.fromkeys(('HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'), outside.address),
    }  # fmt: skip
    command = [
        sys.executable, 'tools/demo.py', model, '--port', port, '--examples', examples,
        '--max-mbytes', 2,
    ]  # fmt: skip
    process = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE
    )
    for line in process.stdout:
        if line.startswith('The page: '):
            break
    else:
        pytest.fail(f'tools/demo.py exited with {process.wait()}')
    yield f'http://127.0.0.1:{port}', temporary, outside
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    outside.socket.close()
    assert not outside.asked  # by the server, from beginning to end
    assert not list(temporary.glob('realmnet_page_*'))


@pytest.fixture
def visit(browser, server):
    """Open the page as a new visitor; at the end nothing else may have been asked for."""
    contexts, requests, errors = [], [], []

    def begin(viewport=WIDE):
        contexts.append(browser.new_context(viewport=viewport))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on('request', lambda request: requests.append(request.url))
        page.on('pageerror', lambda error: errors.append(str(error)))
        page.goto(server[0])
        page.wait_for_selector('#upload input[type=file]', state='attached')
        return page

    yield begin
    for context in contexts:
        context.close()
    hosts = {urlsplit(url).hostname for url in requests if not url.startswith(('data:', 'blob:'))}
    assert hosts == {'127.0.0.1'}
    assert not errors


@pytest.fixture
def eye(tmp_path):
    path = tmp_path / 'eye_synthetic.png'
    Image.fromarray(patches(3, 100, 120)).save(path)
    return path


def upload(page, path):
    page.set_input_files('#upload input[type=file]', str(path))


def choose(page, field, option):
    page.click(f'#{field} input')
    page.get_by_role('option', name=option, exact=True).click()


def images(page):
    return page.eval_on_selector_all('#maps img', 'found => found.map(i => i.src)')


def shoot(page, name):
    if folder := os.environ.get('REALMNET_SCREENSHOTS'):
        page.wait_for_timeout(800)
        page.screenshot(path=Path(folder, name), full_page=True, **(
            {'type': 'jpeg', 'quality': 88} if name.endswith('.jpg') else {}
        ))  # fmt: skip


def test_a_whole_visit(visit, server, eye, tmp_path):
    page = visit()
    notice = page.inner_text('.notice')
    assert notice == 'Research software, not a medical device. Pictures stay on this machine.'
    shoot(page, 'page_empty.png')
    upload(page, os.environ.get('REALMNET_PAGE_PICTURE') or eye)
    page.wait_for_selector('#maps figure')
    rows = page.locator('#summary tbody tr').all_inner_texts()
    assert [row.removeprefix('● ').split()[0] for row in rows] == list(PSMM.classes)
    assert page.locator('#summary tr.found').count() == 2
    facts = page.locator('#summary dt').all_inner_texts()
    assert facts == ['Pathologic myopia', 'Myopic maculopathy', 'Posterior staphyloma']
    first = images(page)
    assert len(set(first)) == 3
    shoot(page, 'demo.jpg')

    choose(page, 'class', 'A2 diffuse chorioretinal atrophy')
    page.wait_for_function("document.querySelector('#maps .of').innerText.startsWith('A2')")
    second = images(page)
    assert second[0] == first[0]
    assert second[2] != first[2]
    choose(page, 'second', 'HiResCAM')
    page.wait_for_function("document.querySelector('#maps').innerText.includes('HiResCAM')")
    choose(page, 'second', 'none')
    page.wait_for_function("document.querySelectorAll('#maps img').length === 2")
    page.set_viewport_size(NARROW)
    wide = page.evaluate('document.documentElement.scrollWidth')
    assert wide <= NARROW['width']
    shoot(page, 'page_narrow.png')
    page.set_viewport_size(WIDE)

    downloaded = {}
    for button in ('report', 'json'):
        with page.expect_download() as download:
            page.click(f'#{button}')
        downloaded[button] = tmp_path / download.value.suggested_filename
        download.value.save_as(downloaded[button])
    content = json.loads(downloaded['json'].read_text())
    scores = [f'{score:.3f}' for score in content['findings'][0]['scores'].values()]
    assert [row.split()[-2] for row in rows] == scores
    check_report(page, downloaded['report'], maps=5)
    left = [path for path in server[1].rglob('*') if path.is_file() and path.stat().st_size]
    assert {path.suffix for path in left} == {'.html', '.json'}  # and not the picture


def check_report(page, path, maps):
    """It opens from the disk, shows all its pictures and asks for nothing."""
    other, asked = page.context.new_page(), []
    other.on('request', lambda request: asked.append(request.url))
    other.goto(path.as_uri())
    shown = other.eval_on_selector_all('img', 'all => all.map(i => i.naturalWidth > 0)')
    # two classes, each with the picture; of the second, three methods were opened
    assert shown == [True] * (2 + maps)
    assert all(url.startswith(('file:', 'data:')) for url in asked)
    shoot(other, 'report.png')
    other.close()


def test_bad_files_are_refused_and_the_next_good_one_works(visit, eye, tmp_path):
    page = visit()
    text = tmp_path / 'text.jpg'
    text.write_text('no picture')
    for path, sentence in (
        (text, 'text.jpg: cannot be read (it is not a JPEG'),
        (huge_png(tmp_path / 'huge.png'), 'huge.png: more than 120 million pixels'),
    ):
        upload(page, path)
        page.get_by_role('alert').filter(has_text=sentence).wait_for()
        assert not page.is_visible('#summary')
        shoot(page, f'page_{path.stem}.png')
    upload(page, eye)
    page.wait_for_selector('#maps figure')
    assert not page.is_visible('#problem')
    upload(page, text)
    page.wait_for_selector('#problem [role=alert]')
    assert not page.is_visible('#maps')


def test_a_file_that_is_too_large_is_not_taken(visit, eye, server, tmp_path):
    page = visit()
    large = tmp_path / 'large.jpg'
    large.write_bytes(os.urandom(2_100_000))
    upload(page, large)
    page.get_by_text(re.compile('exceed the maximum allowed size')).wait_for()
    shoot(page, 'page_large.png')
    assert not list(server[1].rglob('large.jpg'))
    upload(page, eye)
    page.wait_for_selector('#maps figure')


def test_names_are_text_and_visitors_are_apart(visit, tmp_path):
    name = '<img src=x onerror=window.hit=1>${window.hit=1}{{window.hit=1}}.png'
    Image.fromarray(patches(8)).save(tmp_path / name)
    one, other = visit(), visit()
    upload(one, tmp_path / name)
    one.wait_for_selector('#maps figure')
    assert one.evaluate('window.hit') is None
    assert 'img srcx onerror' in re.sub('[^a-z ]', '', one.inner_text('#summary h2'))
    assert not other.is_visible('#summary')
    choose(other, 'example', 'example.png')
    other.wait_for_selector('#maps figure')
    assert other.inner_text('#summary h2') == 'example.png'
    assert 'example' not in one.inner_text('#summary h2')
    assert images(one)[0] != images(other)[0]


def test_the_server_gives_no_files_and_answers_to_no_other_name(browser, server):
    context = browser.new_context()
    for path in ('/etc/passwd', ROOT / 'setup.py'):
        assert context.request.get(f'{server[0]}/gradio_api/file={path}').status == 403
    answer = context.request.get(server[0], headers={'Host': 'evil.example'})
    assert answer.status == 421
    answer = context.request.get(server[0])
    assert "default-src 'self'" in answer.headers['content-security-policy']
    context.close()
