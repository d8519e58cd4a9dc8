"""What VideoVault does: one function per use case, shared by pages, API, worker and command line."""

from videovault.gateways import capabilities
from videovault.services.store_memory import DatabaseMemory

# Gateways do not know the database, so they are told here, before any service calls a store.
capabilities.keep_in(DatabaseMemory())
