"""Makes the announcer of a subscriber; what it needs is loaded only then."""

from pathlib import Path

from receiver.announcers.act_links import LinkMaker
from receiver.core.ports import Announcer


def announcer_of(
    *,
    url: str | None,
    url_file: Path | None,
    secret_file: Path | None,
    ca_file: Path | None,
    external_url: str | None,
    teams: bool = False,
    act_links: LinkMaker | None = None,
) -> Announcer:
    """A signed webhook if there is something to sign with, else Teams or Slack."""
    if secret_file is not None:
        from receiver.announcers.webhook import WebhookAnnouncer  # noqa: PLC0415

        return WebhookAnnouncer(
            url=url,
            url_file=url_file,
            secret_file=secret_file,
            ca_file=ca_file,
            source=external_url or "/retrain-receiver",
            act_links=act_links,
        )
    if teams:
        from receiver.announcers.teams import TeamsAnnouncer  # noqa: PLC0415

        return TeamsAnnouncer(url_file=url_file, external_url=external_url, act_links=act_links)
    from receiver.announcers.slack import SlackAnnouncer  # noqa: PLC0415

    return SlackAnnouncer(url_file=url_file, external_url=external_url, act_links=act_links)
