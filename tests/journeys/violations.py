"""What the content security policy forbids pages, collected by a listener in the browser."""

from typing import Any

from playwright.sync_api import BrowserContext

LISTEN = """addEventListener("securitypolicyviolation", (event) => videovaultViolated({
    page: event.documentURI, rule: event.effectiveDirective, what: event.blockedURI, sample: event.sample,
}), true)"""


class Violations(list[dict[str, str]]):
    """One entry for each thing that was forbidden: the page, the rule, what it was."""

    def listen(self, context: BrowserContext) -> None:
        """From now on, on every page that is opened in ``context``."""
        context.expose_binding("videovaultViolated", self._note)
        context.add_init_script(LISTEN)

    def _note(self, _source: Any, seen: dict[str, str]) -> None:
        self.append(seen)
