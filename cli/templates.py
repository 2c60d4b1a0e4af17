"""`sendlog templates`: what is written once and sent many times, from files and back to the terminal."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli import accounts, command, moment
from cli.command import Commands, Context, given
from cli.failure import USAGE, Failure
from cli.terminal import clean, clean_text

if TYPE_CHECKING:
    from cli.api import Api

_TEXTS: Final = ("subject", "html", "text")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def register(commands: Commands) -> None:
    """Add the commands."""
    templates = command.group(commands, "templates", "manage templates")
    command.add(templates, "list", list_, "list the templates")
    parser = _named(templates, "show", show, "show a template: its versions, and the texts of one")
    parser.add_argument("--version", type=command.count, metavar="N", help="default: the latest")
    parser = command.add(templates, "add", add, "make a template from files and print its id")
    parser.add_argument("name", metavar="NAME")
    _add_texts(parser)
    parser = _named(templates, "edit", edit, "change a template; other texts are a new version")
    parser.add_argument("--name", metavar="NAME")
    _add_texts(parser)
    parser = _named(templates, "publish", publish, "make a version the one that is sent")
    parser.add_argument("--version", type=command.count, metavar="N", help="default: the latest")
    parser = _named(templates, "render", render, "show what a template says with sample variables")
    parser.add_argument("--version", type=command.count, metavar="N", help="default: the latest")
    parser.add_argument("--only", choices=_TEXTS, help="print this text and nothing else")
    add_variables(parser)
    _named(templates, "remove", remove, "remove a template; what was sent by it keeps its texts")


def _named(commands: Commands, name: str, run: command.Run, what: str) -> argparse.ArgumentParser:
    parser = command.add(commands, name, run, what)
    parser.add_argument("template", metavar="TEMPLATE", help="its id or alias")
    return parser


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", metavar="ALIAS", help="another name to send by")
    parser.add_argument("--subject", metavar="TEXT")
    parser.add_argument("--html-file", metavar="FILE", help="- is standard input")
    parser.add_argument("--text-file", metavar="FILE", help="derived from the HTML if there is none")
    parser.add_argument(
        "--css-inline", action=argparse.BooleanOptionalAction, help="move styles into the tags when sending"
    )
    parser.add_argument("--publish", action="store_true", help="send this version from now on")


def add_variables(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that give variables."""
    parser.add_argument("--variable", action="append", metavar="K=V", help="a text; may be repeated")
    parser.add_argument("--variables-file", metavar="FILE", help="a JSON object, - is standard input")


def variables(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Return the variables that were given, if any were. Raises: Failure."""
    import json

    if arguments.variable is None and arguments.variables_file is None:
        return None
    found: Any = {}
    if arguments.variables_file is not None:
        try:
            found = json.loads(_read(arguments.variables_file))
        except ValueError as error:
            raise Failure(f"{arguments.variables_file} is not JSON: {error}", USAGE) from error
        if not isinstance(found, dict):
            raise Failure(f"{arguments.variables_file} must hold a JSON object", USAGE)
    for text in arguments.variable or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Failure(f"--variable {text!r}: write NAME=VALUE", USAGE)
        found[name] = value
    return dict(found)


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file}: {clean(error)}", USAGE) from error


async def _found(api: "Api", name: str) -> str:
    """Return the id of the template of that id or alias. Raises: Failure."""
    if _UUID.fullmatch(name):
        return name
    matching = (await api.get("/templates", alias=name)).data
    if not matching:
        raise Failure(f"there is no template {name!r}")
    return str(matching[0]["id"])


async def list_(context: Context) -> None:
    """List the templates."""
    async with context.api() as api:
        rows = await accounts.every(api, "/templates")
    if context.as_json:
        context.terminal.say_json(rows)
        return
    lines = [
        (
            row["id"],
            row["alias"],
            row["name"],
            row["published_version"] or "none",
            row["latest_version"],
            moment.shown(row["updated_at"]),
        )
        for row in rows
    ]
    context.terminal.table(("ID", "ALIAS", "NAME", "PUBLISHED", "LATEST", "CHANGED"), lines)


async def show(context: Context) -> None:
    """Show one template."""
    wanted = context.arguments.version
    async with context.api() as api:
        path = command.path("templates", await _found(api, context.arguments.template))
        template = (await api.get(path, version=str(wanted) if wanted else None)).data
        versions = (await api.get(f"{path}/versions")).data
    if context.as_json:
        context.terminal.say_json(template | {"versions": versions})
        return
    listed = (f"{one['version']}{' (published)' if one['published'] else ''}" for one in versions)
    context.terminal.pairs(
        [
            ("Template", clean(template["id"])),
            ("Name", clean(template["name"])),
            ("Alias", clean(template["alias"] or "")),
            ("Versions", ", ".join(listed)),
            ("Variables", clean(", ".join(template["variables"]))),
            ("CSS inline", "yes" if template["css_inline"] else "no"),
            ("Changed", moment.shown(template["updated_at"])),
        ]
    )
    _tell_texts(context, template, f", version {template['version']}")


def _tell_texts(context: Context, texts: dict[str, Any], more: str = "") -> None:
    for name in _TEXTS:
        if texts[name]:
            context.terminal.say()
            context.terminal.heading(f"{name}{more}")
            context.terminal.say(clean_text(texts[name]).rstrip("\n"))


async def add(context: Context) -> None:
    """Make a template."""
    body = given(name=context.arguments.name) | _fields(context.arguments)
    async with context.api() as api:
        template = (await api.post("/templates", body)).data
        await _finish(context, api, template)


async def edit(context: Context) -> None:
    """Change a template."""
    arguments = context.arguments
    body = given(name=arguments.name) | _fields(arguments)
    if not body:
        raise Failure("say what to change", USAGE)
    async with context.api() as api:
        path = command.path("templates", await _found(api, arguments.template))
        await _finish(context, api, (await api.patch(path, body)).data)


def _fields(arguments: argparse.Namespace) -> dict[str, Any]:
    return given(
        alias=arguments.alias,
        subject=arguments.subject,
        html=_read(arguments.html_file) if arguments.html_file else None,
        text=_read(arguments.text_file) if arguments.text_file else None,
        css_inline=arguments.css_inline,
    )


async def _finish(context: Context, api: "Api", template: dict[str, Any]) -> None:
    if context.arguments.publish:
        path = command.path("templates", template["id"], "publish")
        template = (await api.post(path, {"version": template["version"]})).data
    if context.as_json:
        context.terminal.say_json(template)
    else:
        context.terminal.say(clean(template["id"]))


async def publish(context: Context) -> None:
    """Publish a version."""
    async with context.api() as api:
        template_id = await _found(api, context.arguments.template)
        answer = await api.post(
            command.path("templates", template_id, "publish"), given(version=context.arguments.version)
        )
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        context.terminal.say(
            f"version {answer.data['published_version']} of {clean(answer.data['name'])} is sent from now on"
        )


async def render(context: Context) -> None:
    """Render a template."""
    arguments = context.arguments
    body = given(variables=variables(arguments), version=arguments.version)
    async with context.api() as api:
        path = command.path("templates", await _found(api, arguments.template), "render")
        rendered = (await api.post(path, body)).data
    if context.as_json:
        context.terminal.say_json(rendered)
    elif arguments.only:
        context.terminal.say(clean_text(rendered[arguments.only] or "").rstrip("\n"))
    else:
        _tell_texts(context, rendered)


async def remove(context: Context) -> None:
    """Remove a template."""
    async with context.api() as api:
        template_id = await _found(api, context.arguments.template)
        answer = await api.delete(command.path("templates", template_id))
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        context.terminal.say(f"removed {clean(answer.data['name'])}")
