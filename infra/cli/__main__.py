"""`python -m infra.cli` is `playhead`."""

from infra.cli.main import main

main()
