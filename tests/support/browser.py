"""A person with a browser: follows links and redirects, fills in the forms that a login server shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

MOST_PAGES = 10


@dataclass
class Form:
    """One form of a page: where it goes and what it holds."""

    action: str = ""
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, list[str]] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", ""), given.get("method", "get").lower()))
        elif tag in ("input", "button") and self.found and given.get("name"):
            kind = given.get("type", "text" if tag == "input" else "submit")
            if kind == "submit":
                values = self.found[-1].buttons.setdefault(given["name"], [])
                values.append(given.get("value", ""))
            else:
                self.found[-1].fields[given["name"]] = given.get("value", "")


class Browser:
    """Keeps the cookies of one person, and answers forms with what this person knows."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.pages: list[str] = []
        self.may_be_refused = False
        """Whether a page with an error, or one form over and over, is what the test is after."""
        self._client = httpx.Client(trust_env=False, follow_redirects=True, timeout=20)

    def open(self, url: str) -> None:
        """Go where the app says, and on, until a page asks nothing more."""
        with self._client:
            answer = self._client.get(url)
            for _ in range(MOST_PAGES):
                self.pages.append(answer.text)
                assert answer.is_success or self.may_be_refused, answer.text
                forms = _Forms()
                forms.feed(answer.text)
                if not forms.found:
                    return
                answer = self._submit(str(answer.url), forms.found[0])
        assert self.may_be_refused, self.pages[-1]

    def _submit(self, page: str, form: Form) -> httpx.Response:
        known = {name: self.answers.get(name, value) for name, value in form.fields.items()}
        pressed = {name: self.answers[name] for name in form.buttons if name in self.answers}
        where = urljoin(page, form.action)
        if form.method == "post":
            headers = {"Referer": page}
            return self._client.post(where, data=known | pressed, headers=headers)
        return self._client.get(where, params=known | pressed)
