"""The Reflex app: composes the pages, the API and the embedded parts, and nothing else."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import reflex as rx
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from videovault import logs
from videovault.api.app import create_api
from videovault.api.middleware.connection_limits import OpenConnections
from videovault.api.middleware.hidden_admin import conceal
from videovault.api.middleware.stack import harden
from videovault.api.video_waits import Watch
from videovault.components.document import HEAD, STYLESHEETS, crash_screen
from videovault.config import hidden, settings
from videovault.embedded import listener_guard
from videovault.embedded.frontend import script_hashes
from videovault.embedded.passthrough import PassThrough
from videovault.embedded.process import skip_teardown, told_to_stop
from videovault.embedded.supervisor import embedded_parts
from videovault.pages import PAGES
from videovault.state import page_events
from videovault.state.session import SessionGuard, SessionState, on_browser_fault, on_fault

watch = Watch()
open_connections = OpenConnections()


def _stop_waiting() -> None:
    watch.close()
    open_connections.close()


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Everything that lives as long as the server."""
    logs.configure(settings().log_format, settings().log_level, hidden.values(settings()))
    gc.collect()
    gc.freeze()  # what has been imported stays: looking for cycles in it takes 100 ms each time
    with told_to_stop(_stop_waiting):
        async with embedded_parts():
            with listener_guard.watching(settings(), open_connections.delivered, open_connections.notes):
                skip_teardown()
                yield


api = create_api(watch)
CORS: Any = CORSMiddleware


class Application(rx.App):
    """Reflex's application behind our guard, which stands round all of it: its own outermost routes and answers too."""

    def __call__(self) -> ASGIApp:
        whole = super().__call__()
        for part in (whole, api, self._api):
            if isinstance(part, Starlette):  # no other site may call any of them, so none speaks of it
                part.user_middleware = [each for each in part.user_middleware if each.cls is not CORS]
        return harden(whole, script_hashes, open_connections)


app = Application(
    api_transformer=[api, conceal, PassThrough],  # each wraps the one before it
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
    app.sio.eio.cors_credentials = False
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
