"""Programs that are run to their end, and what is said of those that fail."""

import pytest

from weft.agent.programs import ProgramFailure, ProgramMissing, run_to_end


def test_it_gets_its_input_and_gives_its_output() -> None:
    assert run_to_end(["cat"], "ä\n", 10.0) == "ä\n"


def test_its_last_words_are_told_with_the_command() -> None:
    with pytest.raises(ProgramFailure, match="^sh -c .*: two / three / four$"):
        run_to_end(["sh", "-c", "for word in one two three four; do echo $word >&2; done; exit 3"], "", 10.0)
    with pytest.raises(ProgramFailure, match="exit code 4"):
        run_to_end(["sh", "-c", "exit 4"], "", 10.0)


def test_a_failure_may_be_as_good_as_its_output() -> None:
    assert run_to_end(["sh", "-c", "echo some; exit 1"], "", 10.0, check=False) == "some\n"


def test_one_that_is_not_there_or_does_not_end_is_told() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program is not installed"):
        run_to_end(["no-such-program"], "", 10.0)
    with pytest.raises(ProgramFailure, match=r"sleep 60: no end after 0\.05 s"):
        run_to_end(["sleep", "60"], "", 0.05)


def test_output_that_is_no_text_is_read_all_the_same() -> None:
    assert run_to_end(["printf", r"\377"], "", 10.0) == "\N{REPLACEMENT CHARACTER}"
