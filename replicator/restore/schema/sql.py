"""Splits SQL text into statements the way psql does, without understanding them.

Quotes, dollar quotes, nested comments, and the bodies of SQL-standard functions (`BEGIN ATOMIC … END`) are
kept together. https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<line_comment>--[^\n]*)
    | (?P<comment>/\*)
    | (?P<dollar>\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$)
    | (?P<escape>\b[eE]'(?:[^'\\]|''|\\.)*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<ident>"(?:[^"]|"")*")
    | (?P<word>[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*)
    | (?P<semicolon>;)
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def statements(text: str) -> list[str]:
    """The statements of a text, comments before them and the semicolon left out; none that is empty."""
    found: list[str] = []
    parts: list[str] = []
    words: list[str] = []
    depth = 0
    for kind, token in _tokens(text):
        if kind == "line_comment":
            parts.append("\n")
            continue
        if kind == "comment":
            parts.append(" ")
            continue
        if kind == "word":
            depth = _block_depth(words, token.lower(), depth)
        if kind == "semicolon" and depth == 0:
            _flush(parts, found)
            words.clear()
        else:
            parts.append(token)
    _flush(parts, found)
    return found


def plain(statement: str) -> str:
    """The statement as keywords can safely be looked for in it: lower case, single blanks, no comments.

    Strings become `''` and quoted names `q_`, so that nothing inside them is taken for a keyword.
    """
    parts = []
    for kind, token in _tokens(statement):
        if kind in ("string", "escape", "dollar_body"):
            parts.append("''")
        elif kind == "ident":
            parts.append("q_")
        else:
            parts.append(" " if kind in ("comment", "line_comment") else token.lower())
    return " ".join("".join(parts).split())


def split_list(statement: str) -> list[str]:
    """The parts between commas outside all parentheses: the actions of one ALTER TABLE."""
    parts: list[str] = []
    current: list[str] = []
    depth = 0
    for kind, token in _tokens(statement):
        if kind == "other" and token in "([":
            depth += 1
        elif kind == "other" and token in ")]":
            depth -= 1
        if kind == "other" and token == "," and depth == 0:
            parts.append("".join(current).strip())
            current = []
        elif kind not in ("comment", "line_comment"):
            current.append(token)
    parts.append("".join(current).strip())
    return parts


def names_in_parentheses(text: str) -> tuple[str, ...] | None:
    """The names listed in the first parentheses, unquoted; None when there is more in them than names."""
    names: list[str] = []
    depth = 0
    expected = True
    for kind, token in _tokens(text):
        if kind == "space":
            continue
        if depth == 0:
            depth = 1 if token == "(" else 0
        elif token == ")" and not expected:
            return tuple(names)
        elif expected and kind in ("word", "ident"):
            names.append(token[1:-1].replace('""', '"') if kind == "ident" else token)
            expected = False
        elif not expected and token == ",":
            expected = True
        else:
            return None
    return None


def quoted(name: str) -> str:
    """A name as an identifier that means exactly it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def without_modifier(declared: str) -> str:
    """A declared type without what stands in parentheses: `character varying` for `character varying(20)`."""
    return re.sub(r"\([^)]*\)", "", declared)


def _flush(parts: list[str], found: list[str]) -> None:
    statement = "".join(parts).strip()
    parts.clear()
    if statement:
        found.append(statement)


def _block_depth(seen: list[str], word: str, depth: int) -> int:
    """How deep in `BEGIN … END` of a function's body; elsewhere these words are just words."""
    if len(seen) < 4 or word in ("begin", "atomic"):
        seen.append(word)
    routine = seen[:1] == ["create"] and any(kind in seen[:4] for kind in ("function", "procedure"))
    if not routine:
        return depth
    if word == "atomic" and seen[-2:] == ["begin", "atomic"]:
        return depth + 1
    if depth > 0 and word == "case":
        return depth + 1
    if depth > 0 and word == "end":
        return depth - 1
    return depth


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:  # an unterminated quote: the rest is one token
            yield "other", text[at:]
            return
        kind, token = str(match.lastgroup), match.group()
        at = match.end()
        if kind == "comment":
            end = _comment_end(text, at)
            token, at = text[match.start() : end], end
        elif kind == "dollar":
            end = text.find(token, at)
            end = len(text) if end < 0 else end + len(token)
            kind, token, at = "dollar_body", text[match.start() : end], end
        yield kind, token


def _comment_end(text: str, at: int) -> int:
    depth = 1
    while depth and at < len(text):
        opening, closing = text.find("/*", at), text.find("*/", at)
        if closing < 0:
            return len(text)
        if 0 <= opening < closing:
            depth, at = depth + 1, opening + 2
        else:
            depth, at = depth - 1, closing + 2
    return at
