"""A report or a document, on standard output or in a file. Called by audit and plan, which read files themselves."""

import sys
from collections.abc import Iterable
from pathlib import Path

from weft.cli.desk import Misuse


def write(text: str, output: Path | None, read: Iterable[Path]) -> None:
    """`text` ends with its newline; `read` are the files that were opened for it, however they were named. Raises
    Misuse, also where `output` is one of them."""
    if output is None:
        sys.stdout.write(text)
        return
    try:
        # a terminal or /dev/null may be both, and keeps nothing
        if output.is_file() and any(one.exists() and output.samefile(one) for one in read):
            raise Misuse(f"-o {output} is what was read, and would be gone: name another file")
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Misuse(f"-o {output}: {error.strerror}; name a file that can be written") from error
    print(f"written to {output}", file=sys.stderr)
