"""`sendlog stats`: how many emails were sent, and what came back, as a table."""

from typing import Any, Final

from cli import command, moment
from cli.command import Commands, Context
from cli.terminal import Terminal, clean

_EMAILS: Final = ("accepted", "sent", "failed", "suppressed")
# What is counted, its rate, and what of it is counted apart.
_ROWS: Final = (
    ("delivered", "delivery", ()),
    ("delayed", None, ()),
    ("bounced", "bounce", ("hard_bounced", "soft_bounced")),
    ("opened", "open", ("machine_opened",)),
    ("clicked", "click", ("machine_clicked",)),
    ("read", "read", ()),
    ("replied", "reply", ()),
    ("auto_replied", None, ()),
    ("complained", "complaint", ()),
    ("unsubscribed", "unsubscribe", ()),
)
_SERIES: Final = ("delivered", "bounced", "opened", "clicked", "replied", "complained", "unsubscribed")


def register(commands: Commands) -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "stats",
        stats,
        "count what happened to emails",
        "Of the last 30 days unless you say otherwise; with --interval also as a series.",
    )
    parser.add_argument(
        "--from", dest="begin", metavar="TIME", help="since when: 7d or 12h ago, or an RFC 3339 time"
    )
    parser.add_argument("--to", dest="end", metavar="TIME", help="until when, likewise (default: now)")
    parser.add_argument("--interval", choices=("hour", "day", "week"), help="show a series, too")
    parser.add_argument("--timezone", metavar="NAME", help="whose hours and days, such as Europe/Berlin")
    parser.add_argument("--tag", metavar="TAG", help="only emails with this tag")
    parser.add_argument("--account", metavar="ID", help="only emails of this SMTP account")


async def stats(context: Context) -> None:
    """Read the statistics and print them."""
    arguments = context.arguments
    query = {
        "from": moment.since(arguments.begin).isoformat() if arguments.begin else None,
        "to": moment.since(arguments.end).isoformat() if arguments.end else None,
        "interval": arguments.interval,
        "timezone": arguments.timezone,
        "tag": arguments.tag,
        "smtp_account_id": arguments.account,
    }
    async with context.api() as api:
        answer = await api.get("/tracking/stats", **query)
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        tell(answer.data, context.terminal, series=arguments.interval is not None)


def tell(data: dict[str, Any], terminal: Terminal, *, series: bool) -> None:
    """Print statistics: of the whole period, and of each interval where that is wanted."""
    terminal.say(f"{moment.shown(data['from'])} to {moment.shown(data['to'])}, {clean(data['timezone'])}")
    terminal.say()
    totals, unique, rates = data["totals"], data["unique"], data["rates"]
    rows: list[tuple[Any, ...]] = [(name, f"{totals[name]:,}", "", "") for name in _EMAILS]
    for name, rate, apart in _ROWS:
        emails = f"{unique[name]:,}" if name in unique else ""
        rows.append((_words(name), emails, _percent(rates.get(rate)), f"{totals[name]:,}"))
        rows += [(f"  {_words(one)}", "", "", f"{totals[one]:,}") for one in apart]
    terminal.table(("", "EMAILS", "OF SENT", "TIMES"), rows)
    if series:
        terminal.heading(f"By {clean(data['interval'])}")
        head = ("FROM", "SENT", *(name.upper() for name in _SERIES))
        terminal.table(head, [_point(point, data["timezone"]) for point in data["series"]])


def _point(point: dict[str, Any], zone: str) -> tuple[Any, ...]:
    began = moment.local(point["at"], zone)
    counts = [point["totals"]["sent"], *(point["unique"][name] for name in _SERIES)]
    return began, *(f"{count:,}" for count in counts)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.2f} %"
