"""What VideoVault does: one function per use case, shared by pages, API, worker and command line."""

from videovault.gateways import store_capabilities
from videovault.services.core.stored_capabilities import DatabaseCapabilities

# Gateways do not know the database, so they are told here, before any service calls a store.
store_capabilities.use_memory(DatabaseCapabilities())
