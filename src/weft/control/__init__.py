"""The one writer, the feed to the hosts, and what takes longer than one transaction. Called by weft.api."""
