"""A browser without a window: goes where it is sent, cookies included. ``BROWSER="python browser.py %s"``"""

import sys

import httpx

with httpx.Client(follow_redirects=True, trust_env=False, timeout=30) as browser:
    browser.get(sys.argv[1])
