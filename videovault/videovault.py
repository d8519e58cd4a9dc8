"""The Reflex app: composes the pages, the API and the embedded parts, and nothing else."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import reflex as rx

from videovault import logs
from videovault.api.app import create_api
from videovault.api.concealed import conceal
from videovault.api.connections import OpenConnections
from videovault.api.hardening import harden
from videovault.api.waiting import Watch
from videovault.components.fallback import crash_screen
from videovault.components.head import HEAD, STYLESHEETS
from videovault.config import hidden, settings
from videovault.embedded import listener_guard
from videovault.embedded.frontend import script_hashes
from videovault.embedded.passthrough import PassThrough
from videovault.embedded.stop_signals import told_to_stop
from videovault.embedded.supervisor import embedded_parts
from videovault.pages import PAGES
from videovault.state import page_events
from videovault.state.session import SessionGuard, SessionState, on_browser_fault, on_fault

watch = Watch()
open_connections = OpenConnections()


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Everything that lives as long as the server."""
    logs.configure(settings().log_format, settings().log_level, hidden.values(settings()))
    gc.collect()
    gc.freeze()  # what has been imported stays: looking for cycles in it takes 100 ms each time
    with told_to_stop(watch.close):
        async with embedded_parts():
            with listener_guard.watching(settings(), open_connections.messages, open_connections.notes):
                yield


app = rx.App(
    api_transformer=[
        create_api(watch),
        conceal,
        PassThrough,
        partial(harden, page_scripts=script_hashes, open_connections=open_connections),
    ],  # each wraps the one before it
    stylesheets=STYLESHEETS,
    reset_style=False,
    head_components=HEAD,
    html_lang="en",
    toaster=None,  # what there is to say is a state var: a toast sent by the server needs eval in the browser
    app_wraps={(55, "ErrorBoundary"): crash_screen},
    backend_exception_handler=on_fault,
    frontend_exception_handler=on_browser_fault,
)
if app.sio is not None:
    app.sio.eio.cors_allowed_origins = None  # to engineio: the page's own origin only
page_events.install(app)
app.add_middleware(SessionGuard())
app.register_lifespan_task(lifespan)
for page in PAGES:
    app.add_page(
        page.component,
        route=page.route,
        title=page.title,
        description=page.description,
        on_load=[SessionState.arrive, *page.on_load],
    )
