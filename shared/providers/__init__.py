"""The services Keytide can write to. One line each."""

from collections.abc import Mapping
from typing import Any

from shared.providers.base import Provider
from shared.providers.dotenv import DotenvProvider
from shared.providers.flyio import FlyioProvider
from shared.providers.netlify import NetlifyProvider
from shared.providers.railway import RailwayProvider
from shared.providers.vercel import VercelProvider

_ALL: tuple[type[Provider[Any]], ...] = (
    RailwayProvider,
    DotenvProvider,
    NetlifyProvider,
    FlyioProvider,
    VercelProvider,
)

PROVIDERS: Mapping[str, type[Provider[Any]]] = {provider.name: provider for provider in _ALL}
