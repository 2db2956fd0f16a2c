"""The command line: `python -m velograd.conformance torch.optim.AdamW --rule adamw`."""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from ._check import check
from ._rule import Rule
from ._rules import named, rules

DESCRIPTION = """Says whether an optimizer for PyTorch is an update rule as published; if not, from which update on, and the likely
cause. The exit code is 0 if it is, 1 if it is not, and 2 if it could not be judged."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m velograd.conformance", description=DESCRIPTION)
    parser.add_argument("optimizer", nargs="?", help="a class, or a function of parameters, with its module: torch.optim.AdamW")
    parser.add_argument("--rule", help="the name of the rule; without an optimizer: show this rule")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="hold a setting or a choice of the rule fast")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="a further keyword for the optimizer")
    parser.add_argument("--name", action="append", default=[], metavar="SETTING=KEYWORD", help="the optimizer's keyword for a setting")
    parser.add_argument("--at-once", type=int, metavar="N", help="how many differences at once are tried as the cause [3; 2 for matrices]")
    parser.add_argument("--list", action="store_true", help="list the rules")
    given = parser.parse_args(arguments)
    try:
        if given.list:
            for rule in rules().values():
                print(f"{rule.name:<13} {rule.source}")
            return 0
        if given.rule is None:
            parser.error("which rule should it be? '--rule' names it; '--list' lists them")
        if given.optimizer is None:
            print(described(named(given.rule)))
            return 0
        names = {key: value if isinstance(value, str) else None for key, value in map(pair, given.name)}
        options, settings = dict(map(pair, given.option)), dict(map(pair, given.set))
        verdict = check(found(given.optimizer), given.rule, names=names, options=options, at_once=given.at_once, **settings)
    except (ValueError, ImportError, AttributeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(verdict)
    return 0 if verdict else 1


def found(path: str) -> Any:
    """What a path such as `torch.optim.AdamW` names."""
    module, dot, name = path.rpartition(".")
    if not dot:
        raise ValueError(f"{path} has no module: a class is named as in torch.optim.AdamW")
    return getattr(importlib.import_module(module), name)


def pair(text: str) -> tuple[str, Any]:
    """`lr=0.1` as a name and a value: a number, True, False, None, a tuple of them, or else the text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text} has no '='")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def described(rule: Rule) -> str:
    """A rule with its settings and choices."""
    lines = [rule.name, f"  published: {rule.source}", "  settings:"]
    lines += [f"    {name}={value}" for name, value in rule.defaults.items()]
    lines.append("  choices, the published one first:")
    for name, choice in rule.choices.items():
        lines.append(f"    {name}={choice.published!r}")
        lines += [f"      {value!r}: {text}" for value, text in choice.others.items()]
    return "\n".join([*lines, *([f"  {rule.note}"] if rule.note else [])])


if __name__ == "__main__":
    sys.exit(main())
