"""The commands of the command line, joined. Imported by __main__ when one of them is asked for."""

import typer

from weft.cli import (
    addresses,
    audit,
    capturing,
    follow,
    hosts,
    hyperv,
    importing,
    leaving_command,
    look,
    nic,
    pools,
    resources,
    vm,
    worksheet_command,
)

app = typer.Typer(
    help="Weft: a network controller for clusters of virtual machines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(resources.app)
app.add_typer(nic.app, name="nic")
app.add_typer(vm.app, name="vm")
app.add_typer(pools.app, name="pool")
app.add_typer(addresses.app, name="address")
app.add_typer(addresses.conflicts_app)
app.add_typer(look.app)
app.add_typer(follow.app)
app.add_typer(capturing.app)
app.add_typer(audit.app)
app.add_typer(importing.app)
app.add_typer(worksheet_command.app)
app.add_typer(leaving_command.app)
app.add_typer(hosts.app, name="host")
app.add_typer(hyperv.app, name="hyperv")
