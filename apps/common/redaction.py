"""Redaction of secrets in texts, by a pattern for each kind of token.

Logs, rows of errors and results of tasks all go through `redact`, so that none of them keeps what another hides.
"""

import re

HIDDEN = "[hidden]"
SECRET_VALUES = re.compile(
    r"""
      gh[a-z]_[A-Za-z0-9_.\-]{8,}                               # tokens of GitHub's, also `ghs_APPID_JWT`
    | github_pat_[A-Za-z0-9_]{8,}
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
    | sha(?:1|256)=[0-9a-f]{8,}                                 # signatures
    | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*      # JSON web tokens
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                           # user:password in an address
    | (?<=[Bb]earer\ )[^\s'",]+
    | (?<=[Tt]oken\ )[0-9a-f]{40}
    | (?<=/invitations/)[A-Za-z0-9_-]{20,}                      # links that are a permission, in paths of requests
    | (?<=/unsubscribe/)[^/\s'",?]+
    | (?<=/password/reset/key/)[^/\s'",?]+-[^/\s'",?]+
    """,
    re.VERBOSE | re.DOTALL,
)


def redact(text: str) -> str:
    """Return the text without anything that looks like a secret."""
    return SECRET_VALUES.sub(HIDDEN, text)
