"""Keyway's wire, as its clients know it; ``docs/coming-from-keyway.md`` says what is ours besides."""

from api.keyway import account, api_keys, connections, device, health, secrets, syncs, vaults

ROUTERS = (
    connections.router,
    connections.public_router,
    syncs.router,
    vaults.router,
    secrets.router,
    api_keys.router,
    account.router,
    device.router,
    device.page_router,
    health.router,
)
