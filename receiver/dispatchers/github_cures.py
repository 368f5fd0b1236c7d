"""What to mend where GitHub refuses, by GitHub's own words: many 403s are no permission."""

import re
from collections.abc import Mapping

from receiver.core.policies import shown

_SSO_LINK = re.compile(r"url=(https://[!-~]{1,250})")
"""Of the header X-GitHub-SSO, which names the page that cures it."""


def cure_of_403(said: str, headers: Mapping[str, str], credentials: str, repository: str) -> str:
    """What lets a token start a run that GitHub forbids."""
    words = said.lower()
    if "saml" in words:
        found = _SSO_LINK.search(headers.get("x-github-sso", ""))
        where = found[1] if found else "in its settings at GitHub, 'Configure SSO'"
        return f"authorise {credentials} for the organisation's single sign-on: {where}"
    if "ip allow list" in words:
        return "add the address from which we ask to the organisation's IP allow list"
    if "archived" in words:
        return f"{repository} is archived, so nothing runs in it: unarchive it, or name another"
    if "suspended" in words:
        return f"who owns {credentials} is suspended: lift that at GitHub, or use another"
    if "actions" in words and "disabled" in words:
        return f"enable Actions in the settings of {repository} or of its organisation"
    return f"{credentials} needs 'Actions: write' on {repository}"


def cure_of_422(said: str, workflow: str, ref: str) -> str | None:
    """What makes a workflow startable; None if it is not about its state or place."""
    words = said.lower()
    if "disabled workflow" in words:
        return f"enable {workflow} on the Actions page, or with `gh workflow enable {workflow}`"
    if "no ref found" in words:
        return f"{shown(ref)} is no branch or tag of the repository: write another `ref`"
    if "properties" in words and ("more than" in words or "maximum" in words):
        return f"{workflow} takes fewer inputs than are sent: take some out of the target's"
    return None
