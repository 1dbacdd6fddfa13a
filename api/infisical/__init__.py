"""The Infisical wire, as its clients know it."""

from api.infisical import (
    app_connections,
    audit_logs,
    auth,
    environments,
    folders,
    identities,
    imports,
    projects,
    provider_listings,
    reconciles,
    secret_syncs,
    secrets,
    secrets_live,
    tags,
    tokens,
)

ROUTERS = (
    auth.router,
    tokens.router,
    identities.router,
    projects.router,
    environments.router,
    folders.router,
    imports.router,
    secrets.router,
    app_connections.router,
    provider_listings.router,
    reconciles.router,
    secret_syncs.router,
    secrets_live.router,
    tags.router,
    audit_logs.router,
)
