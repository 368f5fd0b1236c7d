"""How subscribers are told: a signed webhook, or Slack."""
