"""Serving the page to this computer alone."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import signal
import socket
import tempfile
from collections.abc import Iterator

import gradio as gr
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from realmnet.apis.page import LIGHT
from realmnet.errors import InputError
from realmnet.reporting.picture_report import style

# The browser itself then refuses whatever the library's page might ask of other hosts.
# gradio builds its HTML pieces with new Function, hence 'unsafe-eval'.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    (b'content-security-policy', POLICY.encode()),
    (b'referrer-policy', b'no-referrer'),
    (b'x-content-type-options', b'nosniff'),
)

_FONTS = ('system-ui', 'Segoe UI', 'DejaVu Sans', 'Arial', 'sans-serif')
_CSS = """
.gradio-container { max-width: 1280px !important; width: 100%; margin: 0 auto !important }
.gradio-container main { width: 100% }
html .gradio-container .html-container { padding: 0 !important }
footer { display: none !important }
#upload [data-testid=status-tracker]:has(.error) { display: none !important }
"""


class Guard:
    """ASGI middleware: a policy on every answer, and no answer under a strange name.

    A web page elsewhere can point its own name at 127.0.0.1 and so reach a page like this one
    (DNS rebinding); the name in the request gives it away.

    Args:
        app: The application.
        hosts: Names to answer to; None for all.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] | None) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message['type'] == 'http.response.start':
                message = {**message, 'headers': [*message['headers'], *_HEADERS]}
            await send(message)

        host = dict(scope['headers']).get(b'host', b'').decode('latin-1')
        host = re.sub(r':\d+$', '', host).strip('[]')
        if self.hosts and host not in self.hosts:
            answer = PlainTextResponse('This page answers to its own address only.', 421)
            await answer(scope, receive, send_guarded)
        else:
            await self.app(scope, receive, send_guarded)


def is_loopback(host: str) -> bool:
    """Tell whether only this computer reaches a host.

    Example:
        >>> is_loopback('127.0.0.1'), is_loopback('0.0.0.0'), is_loopback('localhost')
        (True, False, True)
    """
    if host == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def private_folder() -> Iterator[None]:
    """Keep uploads and reports in a temporary folder of this user that goes at the end.

    A request to terminate ends the program as Ctrl-C does, so that the folder goes then too.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix='realmnet_page_') as folder:
        os.environ['GRADIO_TEMP_DIR'] = tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def launch(blocks: gr.Blocks, host: str, port: int, max_bytes: int) -> None:
    """Begin to serve the page; ``blocks.block_thread()`` then waits for the end.

    Args:
        blocks: The page.
        host: Address to listen on.
        port: Port.
        max_bytes: Larger files are not taken.

    Raises:
        InputError: If the address cannot be listened on.
    """
    _check_address(host, port)
    hosts = (host, '127.0.0.1', 'localhost', '::1') if is_loopback(host) else None
    theme = gr.themes.Base(primary_hue='blue', neutral_hue='slate', font=_FONTS, font_mono=_FONTS)
    blocks.queue(api_open=False, max_size=20)
    blocks.launch(
        server_name=host, server_port=port, share=False, quiet=True, inbrowser=False,
        prevent_thread_lock=True, max_file_size=max_bytes, footer_links=[], ssr_mode=False,
        enable_monitoring=False, pwa=False, mcp_server=False, theme=theme, head=style(),
        js=LIGHT, css=_CSS, app_kwargs={'middleware': [Middleware(Guard, hosts=hosts)]},
    )  # fmt: skip


def _check_address(host: str, port: int) -> None:
    try:
        if port == 0:
            raise OSError('0 is no port')
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((host, port), family=family):
            pass
    except (OSError, OverflowError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise InputError(
            f'cannot listen on {host}, port {port} ({reason}); choose another with --host, --port'
        ) from None
