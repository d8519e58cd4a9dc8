"""How many files and connections this process may have open."""

import resource

RESERVED = 512  # for the database, S3, webhooks and the files of the pages
WITHOUT_LIMIT = 65_536  # where the system names no hard limit, it does not accept "unlimited" either


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one, for this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WITHOUT_LIMIT if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_possible(wanted: int) -> int:
    """``wanted``, or less where open files are scarce.

    Half of them are for requests, half for page sockets: the HTTP server limits the former only.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(64, min(wanted, (soft - RESERVED) // 2))
