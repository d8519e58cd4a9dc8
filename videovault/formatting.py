"""Sizes as people read them."""

UNITS = ("bytes", "KB", "MB", "GB", "TB")


def format_size(count: float) -> str:
    """Bytes in decimal units, as file managers show them: ``4.2 MB``."""
    power = 0
    while count >= 999.5 and power < len(UNITS) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.0f} {UNITS[power]}" if power < 2 or count >= 99.95 else f"{count:.1f} {UNITS[power]}"
