"""Fixtures for all tests; each is described where it is made."""

# One that imports another comes after it: pytest must be the first to import each.
pytest_plugins = [
    "tests.fixtures.embedded_s3",
    "tests.fixtures.log_grep",
    "tests.fixtures.installation",
    "tests.fixtures.media",
    "tests.fixtures.generator",
    "tests.fixtures.jobs",
    "tests.fixtures.people",
    "tests.fixtures.postgres",
    "tests.fixtures.redis",
    "tests.fixtures.browser",
]
