"""``python -m cli`` is ``keytide``."""

from cli.app import main

main()
