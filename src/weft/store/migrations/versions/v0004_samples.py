"""How full each pool was, hour by hour, so that it can be said when it will be full."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "samples",
        sa.Column("pool", sa.Text, primary_key=True, nullable=False),
        sa.Column("ledger", sa.REAL, primary_key=True, nullable=False),
        sa.Column("used", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("samples_ledger", "samples", ["ledger"])
