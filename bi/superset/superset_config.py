"""Superset for one look at the marts on this machine: loopback only, nothing secret in here."""

import os
from pathlib import Path

HOME = Path(os.environ["SUPERSET_HOME"])

SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]  # drawn anew for every home by run.py
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME / 'superset.db'}"

# Served over plain http on 127.0.0.1, where a cookie marked secure would never come back.
TALISMAN_ENABLED = False
SESSION_COOKIE_SECURE = False

# A server of its own needs no broker, cache service or call home.
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
DATA_CACHE_CONFIG = CACHE_CONFIG
FILTER_STATE_CACHE_CONFIG = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(HOME / "cache")}
EXPLORE_FORM_DATA_CACHE_CONFIG = FILTER_STATE_CACHE_CONFIG
RATELIMIT_ENABLED = False
SCARF_ANALYTICS = False
