"""The store's head keeps the trace of the run that wrote it, so that a copy put back is recognised."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("head", sa.Column("seal", sa.Text, nullable=False, server_default=""))
