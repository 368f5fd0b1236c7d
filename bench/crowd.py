"""A crowd: fills a SQLite store with many known models, of which some fire and are held."""

import sqlite3
from pathlib import Path

KNOWN = """
INSERT INTO models (name, policy, labels, refusals, episode_started_at, emptied_at,
  cooldown_until, next_check_at)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :known)
SELECT printf('m%05d', i), 'model-quality', printf('{"user_id": "m%05d"}', i), 0, :began,
  CASE WHEN i < :firing THEN NULL ELSE :began END,
  CASE WHEN i < :firing THEN :held_until END, CASE WHEN i < :firing THEN :held_until END
FROM n
"""

FIRING = """
INSERT INTO firing_alerts (fingerprint, model, policy, alertname, labels, value, starts_at,
  confirmed_at, expires_at, observing, asks, config_hash)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :firing)
SELECT printf('%016x', i), printf('m%05d', i), 'model-quality', 'HighModelMAE',
  printf('{"alertname": "HighModelMAE", "user_id": "m%05d"}', i), 0.5, :began, :now, :expires_at,
  :observing, 0, (SELECT hash FROM configs ORDER BY loaded_at DESC LIMIT 1)
FROM n
"""

HOUR = 3_600_000_000


def fill(path: Path, *, known: int, firing: int, now: float, observing: bool = False) -> None:
    """Write so many models; those that fire are in cooldown for six hours more."""
    moment = int(now * 1_000_000)
    values = {
        "known": known,
        "firing": firing,
        "now": moment,
        "began": moment - HOUR,
        "held_until": moment + 6 * HOUR,
        "expires_at": moment + 13 * HOUR,
        "observing": observing,
    }
    with sqlite3.connect(path) as db:
        db.execute(KNOWN, values)
        db.execute(FIRING, values)
    db.close()
