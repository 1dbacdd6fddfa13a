"""Remember what the source had for each key that could not be imported"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SYNCS = sa.table("syncs", sa.column("id", sa.Uuid()), sa.column("spared_keys", sa.JSON()))


def upgrade() -> None:
    # What the source had then is not known any more: whatever it holds now goes out, as before.
    _replace(list, dict.fromkeys)


def downgrade() -> None:
    _replace(dict, list)


def _replace(old: type, new: Callable[[Any], Any]) -> None:
    connection = op.get_bind()
    for sync_id, spared in connection.execute(sa.select(_SYNCS.c.id, _SYNCS.c.spared_keys)).all():
        if isinstance(spared, old):
            query = sa.update(_SYNCS).where(_SYNCS.c.id == sync_id)
            connection.execute(query.values(spared_keys=new(spared)))
