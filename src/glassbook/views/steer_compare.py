"""One prompt, completed without and with a steering vector, side by side."""

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from glassbook.views.markup import element, join, note
from glassbook.views.numbers import Number, spell
from glassbook.views.token_strip import draw_token
from glassbook.views.view import VIEWS, View, empty, plain


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """One column: who speaks, how strongly steered, the tokens written, which were touched, and how fluent it is.

    `touched` counts positions from the prompt's first token, so that a touched prompt token shows as well.
    """

    label: str
    strength: Number
    tokens: Sequence[str]
    touched: Sequence[int] = ()
    fluency: Number = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))


@VIEWS.add("steer-compare")
class SteerCompare(View, frozen=True, kw_only=True, tag="steer-compare"):
    """A prompt and its completions; put the unsteered one first."""

    prompt: Sequence[str]
    completions: Sequence[Completion]
    fluency_name: str = "mean log-probability per token under the unsteered model"
    fluency_unit: str = "nats"

    def body(self) -> Markup:
        if not self.completions:
            return empty("no completion was made")
        columns = [self._column(completion) for completion in self.completions]
        return join(element("div", *columns, class_="columns"), note(self._key()))

    def _column(self, completion: Completion) -> Markup:
        n_prompt, touched = len(self.prompt), set(completion.touched)
        before = [draw_token(token, i in touched) for i, token in enumerate(self.prompt)]
        after = [draw_token(token, n_prompt + i in touched) for i, token in enumerate(completion.tokens)]
        written = element("span", *after, class_="written") if after else element("em", "wrote nothing")
        return element(
            "section",
            element("p", element("strong", completion.label), class_="who"),
            element("p", f"strength {spell(completion.strength)}", class_="strength"),
            element("p", element("span", *before, class_="prompt"), written, class_="tokens flowing"),
            element("p", self._facts(completion), class_="facts"),
            class_="completion",
        )

    def _facts(self, completion: Completion) -> str:
        n_prompt = len(self.prompt)
        in_prompt = sum(position < n_prompt for position in completion.touched)
        written = len(completion.touched) - in_prompt
        touched = f"{in_prompt} prompt and {written} written" if completion.touched else "no"
        return f"{touched} tokens touched · fluency {spell(completion.fluency, self.fluency_unit)}"

    def _key(self) -> str:
        return f"The prompt is in gray, the completion in ink; touched tokens are underlined. Fluency: {self.fluency_name}."
