"""The verb answer, and the question that a start asks on a terminal, for an account that waits for a person."""

import sys

import click

from wxcontroller.cli.clierrors import BadUsage, Declined
from wxcontroller.cli.connection.account import AccountView
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import WxctlRun, name_argument
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.verbhelp import verb
from wxcontroller.core.errors import NotAsked
from wxcontroller.core.jsontypes import integer, obj, one_line
from wxcontroller.core.names import AccountName
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text, text_in
from wxcontroller.openwx.contract.statefile import Question

_CONSENT = "consent"  # answered with yes; all other kinds are codes
_YES = "yes"


def question_of(account: AccountView) -> Question | None:
    """Return the account's open question, None if there is none."""
    found = obj(account.raw.get("input"))
    if not found.get("id"):
        return None
    return Question(
        one_line(found.get("id")),
        one_line(found.get("kind")),
        text_in(found, "prompt"),
        integer(found.get("digits")),
    )


def can_ask(session: WxctlRun) -> bool:
    """Whether a terminal is present to ask on."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not session.json


def ask(name: AccountName, question: Question) -> str:
    """Show the question on the terminal, and return the answer. Raises Declined."""
    tell("{account}: {prompt}", err=True, account=name.name, prompt=one_line(say(question.prompt)))
    if question.kind == _CONSENT:
        if not click.confirm(say(N_("Do you accept this?")), err=True):
            raise Declined(N_("{account} still waits: you answered no"), account=name.name)
        return _YES
    title = Text("Code ({n} digit)", "Code ({n} digits)", n=question.digits) if question.digits else Text("Code")
    return str(click.prompt(say(title), err=True)).strip()


@verb("Answer an account's question.", "wxctl answer alice", "wxctl answer alice yes", "wxctl answer alice 123456")
@name_argument
@click.argument("value", required=False)
def answer(session: WxctlRun, name: str, value: str | None) -> None:
    """Answer an account's question: accept a risk with "yes", or enter the digits that the phone shows.

    wxctl status shows the question. Without VALUE, wxctl asks for the answer here. An account that WeChat refused
    in normal mode asks whether it may log in as WeChat's desktop client: WeChat may warn about the account's
    safety and bar it from scanning any code for about two weeks.
    """
    api, account = session.account(name)
    question = question_of(api.account(account))
    if question is None:
        raise NotAsked(
            N_("{account} is not waiting for an answer"),
            N_("see: {command}"),
            account=account.name,
            command=command("status", account.name),
        )
    if value is None:
        if not can_ask(session):
            raise BadUsage(
                N_("{account} waits for an answer: {prompt}"),
                N_("run: {command}"),
                account=account.name,
                prompt=question.prompt,
                command=command("answer", account.name, _YES if question.kind == _CONSENT else "CODE"),
            )
        value = ask(account, question)
    answered = api.answer(account, question.id, value)
    if not session.emitted(answered):
        follow = command("start", account.name)
        tell(Text(N_("answered for {account}; follow its login: {command}"), account=account.name, command=follow))


def answer_on_terminal(session: WxctlRun, api: Api, name: AccountName) -> bool:
    """Prompt for the account's question and send the answer. Return False without a question or a terminal.

    A malformed answer is reported and the account asks again. Raises Declined, and WxError if it is not sent.
    """
    question = question_of(api.account(name)) if can_ask(session) else None
    if question is None:
        return False
    try:
        api.answer(name, question.id, ask(name, question))
    except BadUsage as problem:
        session.report(problem)
    return True
