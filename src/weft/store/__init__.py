"""SQL and nothing but SQL: schema, migrations, the one write transaction, the log. Called by weft.control alone."""
