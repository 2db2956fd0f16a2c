"""Whether an optimizer for PyTorch is the rule that its paper published.

    from velograd import conformance

    print(conformance.check(torch.optim.AdamW, "adamw"))

`check` runs the optimizer and an independent float64 implementation of the rule side by side, in some ten scenarios, and says
whether the optimizer is the rule; if it is not, from which update on, and which known variant of the rule it is instead.
`rules` lists the rules. On the command line: `python -m velograd.conformance torch.optim.AdamW --rule adamw`.

It needs NumPy, and PyTorch for `check`.
"""

from ._check import check
from ._golden import golden
from ._rule import Choice, Rule
from ._rules import rules
from ._verdict import Deviation, Verdict

__all__ = ["Choice", "Deviation", "Rule", "Verdict", "check", "golden", "rules"]
