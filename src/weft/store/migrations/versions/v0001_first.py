"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)


def _real(name: str) -> "sa.Column[float]":
    return sa.Column(name, sa.REAL, nullable=False)


def _blob(name: str) -> "sa.Column[bytes]":
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _integer(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer, nullable=False)


def _state_tables() -> None:
    op.create_table(
        "head",
        sa.Column("one", sa.Integer, primary_key=True),
        _text("generation"),
        _integer("revision"),
        _real("ledger"),
        sqlite_strict=True,
    )
    op.create_table(
        "resources",
        _text("kind"),
        _text("id"),
        _text("body"),
        _integer("revision"),
        sa.PrimaryKeyConstraint("kind", "id"),
        sqlite_strict=True,
    )
    op.create_table(
        "leases",
        _text("scope"),
        _blob("address"),
        _text("state"),
        _real("until"),
        _text("holders"),
        _text("reason"),
        sa.PrimaryKeyConstraint("scope", "address"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cursors",
        _text("pool"),
        _blob("position"),
        sa.PrimaryKeyConstraint("pool"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _record_tables() -> None:
    op.create_table(
        "log",
        sa.Column("revision", sa.Integer, primary_key=True),
        _real("wall"),
        _real("ledger"),
        _blob("changes"),
        _text("actors"),
        sqlite_strict=True,
    )
    op.create_table(
        "history",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("scope"),
        _blob("address"),
        _integer("revision"),
        _real("wall"),
        _text("event"),
        _text("holder"),
        _text("machine"),
        _text("host"),
        _text("actor"),
        _text("reason"),
        sqlite_strict=True,
    )
    op.create_index("history_address", "history", ["address"])
    op.create_table(
        "requests",
        _text("request_id"),
        _real("ledger"),
        _real("wall"),
        _integer("status"),
        _text("etag"),
        _blob("body"),
        sa.PrimaryKeyConstraint("request_id"),
        sqlite_strict=True,
    )
    op.create_index("requests_ledger", "requests", ["ledger"])
    op.create_table(
        "agents",
        _text("server"),
        _text("hypervisor"),
        _real("first_seen"),
        sa.PrimaryKeyConstraint("server"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    _state_tables()
    _record_tables()
