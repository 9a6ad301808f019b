"""What a command wrote to standard error, without the summary at its end."""

import re

_SUMMARY = re.compile(r"^[\w-]+: done in [\d.]+ s; .*(\n  .*)*\n", re.MULTILINE)


def messages_of(result):
    """Give the messages of a command that succeeded; its run summary must be there, once."""
    text, n_summaries = _SUMMARY.subn("", result.stderr)
    assert n_summaries == 1, result.stderr
    return text
