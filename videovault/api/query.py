"""Query strings that can be understood in two ways are refused."""

from collections import Counter

from fastapi import Request

from videovault.errors import InvalidInput


async def refuse_repeated(request: Request) -> None:
    """Raises InvalidInput for a parameter given twice: readers differ on which one counts."""
    counted = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [name for name, times in counted.items() if times > 1]
    if repeated:
        raise InvalidInput(
            "Please check the marked fields.", dict.fromkeys(repeated, "This may be given only once.")
        )
