"""Refused addresses are history too."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXTS = ("asker", "actor", "code")


def upgrade() -> None:
    op.create_table(
        "refusals",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("address", sa.LargeBinary, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _TEXTS),
        sa.Column("hour", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("first", sa.REAL, nullable=False),
        sa.Column("last", sa.REAL, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("refusals_address", "refusals", ["address", "scope", *_TEXTS, "hour"], unique=True)
