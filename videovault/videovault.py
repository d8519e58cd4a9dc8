"""The Reflex app: composes the pages, the API and the embedded parts."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from videovault import unavailable

# Optional to these two, unused and slow to import: a client's requests, and checks of addresses in OpenAPI documents.
with unavailable("requests", "email_validator"):
    import fastapi  # noqa: F401 - before all that imports it
    import reflex.app
import reflex as rx
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from videovault import db, logs
from videovault.api import monitoring
from videovault.api.app import create_api
from videovault.api.long_polling import VideoWatcher
from videovault.api.middleware.connection_limits import OpenConnections
from videovault.api.middleware.stack import hide_admin_pages, wrap_in_middleware
from videovault.config import settings
from videovault.embedded import listener_guard, processes
from videovault.embedded.frontend import script_hashes
from videovault.embedded.passthrough import PassThrough
from videovault.embedded.previous_assets import PreviousAssets
from videovault.embedded.processes import on_stop_signal, skip_teardown_in_child
from videovault.embedded.supervisor import embedded_processes
from videovault.pages import PAGES
from videovault.pages.layout import HEAD, STYLESHEETS, crash_screen
from videovault.services.maintenance import repair
from videovault.state import page_events
from videovault.state.session import SessionGuard, SessionState, on_browser_error, on_server_error

video_watcher = VideoWatcher()
open_connections = OpenConnections()


def _close_connections() -> None:
    video_watcher.close()
    open_connections.close()


def _freeze_modules() -> None:
    """Imported modules stay: a collection over them would take 100 ms each time."""
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Runs for the lifetime of the server."""
    logs.configure(settings().log_format, settings().log_level, settings().secrets)
    freezing = asyncio.create_task(asyncio.to_thread(_freeze_modules))  # while the embedded S3 starts
    with on_stop_signal(_close_connections, repeated=processes.stop_at_once):
        async with embedded_processes():
            await freezing
            with listener_guard.guarding_listener(
                settings(), open_connections.delivered, open_connections.notes
            ):
                skip_teardown_in_child()
                async with monitoring.collecting(partial(page_events.count_open_pages, app)):
                    # Takes half a second. A process that keeps the database open has to do it: closing drops the long log.
                    refilling = asyncio.create_task(asyncio.to_thread(repair.run_all, db.refill_disk_reserve))
                    yield
                    await asyncio.wait([refilling])


api = create_api(video_watcher)
CORS: Any = CORSMiddleware


class Application(rx.App):
    """Reflex's application inside our middleware, including Reflex's own outermost routes and responses."""

    def __call__(self) -> ASGIApp:
        application = super().__call__()
        for part in (application, api, self._api):
            if isinstance(part, Starlette):  # no other site may call any of them, so none sends CORS headers
                part.user_middleware = [each for each in part.user_middleware if each.cls is not CORS]
        return wrap_in_middleware(application, script_hashes, open_connections)


app = Application(
    api_transformer=[api, hide_admin_pages, PassThrough, PreviousAssets],  # each wraps the one before it
    stylesheets=STYLESHEETS,
    reset_style=False,
    head_components=HEAD,
    html_lang="en",
    toaster=None,  # messages are state vars: a toast sent by the server needs eval in the browser
    app_wraps={(55, "ErrorBoundary"): crash_screen},
    backend_exception_handler=on_server_error,
    frontend_exception_handler=on_browser_error,
)
if app.sio is not None:
    app.sio.eio.cors_allowed_origins = None  # engineio: the page's own origin only
    app.sio.eio.cors_credentials = False
page_events.install(app)
app.add_middleware(
    SessionGuard({page.route: page.on_reconnect for page in PAGES if page.on_reconnect is not None})
)
app.register_lifespan_task(lifespan)
for page in PAGES:
    app.add_page(
        page.component,
        route=page.route,
        title=page.title,
        description=page.description,
        on_load=[SessionState.clear_messages, *page.on_load],
    )
