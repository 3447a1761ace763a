"""The `bridge` command.

Exit codes: 0 done, 1 refused or something is wrong, 2 wrong usage, 3 Redis or the bridge is away.
"""

from __future__ import annotations

import click

from cli.check import check
from cli.events import dead, discard, events, replay, show
from cli.inbound import capture, channels, preview, send
from cli.login import login
from cli.run import sandbox, up, web, worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Turn webhooks into Spacebring support tickets: none lost, none twice.

    Exit codes: 0 done, 1 refused or something is wrong, 2 wrong usage, 3 Redis or the bridge is away.
    """


for command in (
    *(up, web, worker, sandbox, check, login),
    *(channels, capture, preview, send),
    *(events, show, replay, discard, dead),
):
    main.add_command(command)
