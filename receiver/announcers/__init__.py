"""How subscribers are told: a signed webhook, Slack or Teams."""
