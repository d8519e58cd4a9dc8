"""The replies in ``data``, from public bug reports and the API references of generators."""

import json
from pathlib import Path
from typing import Any

HOST = "https://cdn.example"
DATA = Path(__file__).parent / "data"
Case = dict[str, Any]


def cases(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


def named(cases_of_file: list[Case]) -> list[str]:
    return [" ".join(filter(None, (case.get("vendor"), case["name"]))) for case in cases_of_file]


def sent(case: Case) -> bytes:
    """The body as bytes, with the host filled in."""
    body = case["body"]
    return (body if isinstance(body, str) else json.dumps(body)).replace("{host}", HOST).encode()


def filled(url: str) -> str:
    return url.replace("{host}", HOST)


WEBHOOK: list[Case] = cases("webhook_answers")
VENDORS: list[Case] = cases("vendor_answers")
SCRIPTS: list[Case] = cases("script_answers")
NEVER: list[Case] = cases("addresses")["never"]
ADDRESSES: list[Case] = cases("addresses")["video"]
