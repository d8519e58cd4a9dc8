"""Sizes and durations in words."""

SIZE_UNITS = ("bytes", "KB", "MB", "GB", "TB")
DURATION_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def format_size(count: float) -> str:
    """Bytes in decimal units, as file managers show them: ``4.2 MB``."""
    power = 0
    while count >= 999.5 and power < len(SIZE_UNITS) - 1:
        count, power = count / 1000, power + 1
    digits = 0 if power < 2 or count >= 99.95 else 1
    return f"{count:.{digits}f} {SIZE_UNITS[power]}"


def format_duration(seconds: float) -> str:
    """``8 seconds``, ``2 minutes``, ``3 hours``: rounded to the largest unit that it nearly fills."""
    length, unit = next((each for each in DURATION_UNITS if seconds >= each[0] * 0.95), DURATION_UNITS[-1])
    number = max(1, round(seconds / length))
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def format_clock(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``: whole seconds that have passed, as players show them."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"
