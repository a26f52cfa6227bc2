"""Chat templates: the text that transformers writes, one sentence for what goes wrong, and no way to run for ever."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from glassbook.core.errors import InputError
from glassbook.text.chat import mark, render_chat, split_marked

HELLO = [{"role": "user", "content": "Hello"}]
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "  What is {{ 7 }}?\n"},
    {"role": "assistant", "content": "A <b>number</b> & \"more\"."},
    {"role": "user", "content": "And Ω?"},
]
TEMPLATES = {
    "chatml": "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'"
    " + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "default system": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ 'system: helpful' }}{% endif %}{{ message.role }}: {{ message.content | trim }}{% endfor %}",
    "blocks on lines": "{{ bos_token }}\n{% for m in messages %}\n    {% if m.role == 'user' %}\n"
    "[INST] {{ m.content }} [/INST]\n"
    "    {%- else -%}\n {{ m.content }}{{ eos_token }}\n    {% endif %}\n{% endfor %}\n",
    "namespace and loop": "{%- set ns = namespace(n=0, text='') -%}{%- for m in messages -%}"
    "{%- set ns.n = ns.n + 1 -%}{%- set ns.text = ns.text ~ ns.n ~ loop.index0 ~ loop.last ~ m['content'] -%}"
    "{%- endfor -%}{{ ns.text }}",
    "json and tools": "{% if tools is not none %}{{ tools }}{% endif %}{{ messages | tojson }}"
    "{{ messages[0] | tojson(indent=2) }}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}"
    "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}",
    "loop controls": "{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}{% if m.role == 'system' %}"
    "{% continue %}{% endif %}{{ m.content }}{% endfor %}",
    "macros and slices": "{% macro line(m) %}[{{ m.role[0] | upper }}] {{ m.content.strip().split(' ')[-1] }}\n"
    "{% endmacro %}{% for m in messages[::-1] %}{{ line(m) }}{% endfor %}"
    "{{ messages | map(attribute='role') | join(', ') }}",
    "filters": "{{ messages[-1].content | replace('A', 'B') | indent(4) | length }}{{ 'x' | center(9) }}"
    "{% for i in range(3) %}{{ '-' * i }}{% endfor %}"
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}",
}


def _theirs(template: str, messages: list[dict[str, str]], prompt: bool) -> str:
    rendered, _ = render_jinja_template(
        [messages], chat_template=template, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>"
    )
    return rendered[0]


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("prompt", [True, False])
def test_a_chat_is_written_as_transformers_writes_it(name: str, prompt: bool) -> None:
    for messages in (HELLO, TALK, TALK[1:]):
        ours = render_chat(TEMPLATES[name], messages, "<s>", "</s>", prompt)
        assert ours == _theirs(TEMPLATES[name], messages, prompt)


def test_the_generation_prompt_is_there_only_when_asked_for() -> None:
    assert render_chat(TEMPLATES["chatml"], HELLO).endswith("<|im_start|>assistant\n")
    assert render_chat(TEMPLATES["chatml"], HELLO, add_generation_prompt=False).endswith("Hello<|im_end|>\n")


def test_the_date_is_the_one_given() -> None:
    template = "{{ strftime_now('%d %B %Y') }}"
    assert render_chat(template, HELLO, now=datetime(2024, 7, 26)) == "26 July 2024"
    assert render_chat(template, HELLO, now=datetime(2025, 1, 1)) != "26 July 2024"


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "at least one"),
        ("Hello", "list of messages"),
        ({"role": "user", "content": "a"}, "list of messages"),
        ([*HELLO, {"role": "user"}], "message 1 .* 'content'"),
        ([{"content": "a"}], "message 0 .* 'role'"),
        ([{"role": "user", "content": 3}], "'content'"),
        (["Hello"], "message 0"),
    ],
)
def test_malformed_messages_are_refused_in_a_sentence(messages: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        render_chat(TEMPLATES["chatml"], messages)


def test_a_templates_own_refusal_is_passed_on() -> None:
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}fine"
    with pytest.raises(InputError, match="no system turns"):
        render_chat(template, TALK)
    assert render_chat(template, HELLO) == "fine"


BROKEN = [
    "{% for m in %}",
    "{{ 1 / 0 }}",
    "{{ messages[9].x }}",
    "{{ nothing.at.all }}",
    "{% include 'x' %}",
    "{{ (" + "(" * 3000,
]
ESCAPES = [
    "{{ messages.append(1) }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ cycler.__init__.__globals__ }}",
    "{% set messages[0].role = 'x' %}",
]
# The sandbox answers these with nothing, as Jinja answers every name that is not there.
EMPTY = [
    "{{ raise_exception.__globals__ }}",
    "{{ strftime_now.__self__ }}",
    "{{ messages[0].__class__ }}",
    "{{ '{0.__class__}'.format(messages) }}",
]
ENDLESS = [
    "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{{ f(n - 1) }}{{ f(n - 1) }}{% endmacro %}{{ f(60) }}",
    "{% set x = messages[0].content * 40 %}" + "{% for a in x %}" * 6 + "{% endfor %}" * 6,
    "{% for i in range(99999) %}{{ 'a' * 8000 }}{% endfor %}",
]
HUGE = [
    "{{ 'a' * 10 ** 9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * [0] }}",
    "{% set ns = namespace(s='aa') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(s='aa') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ 'a'.ljust(999999999) }}",
    "{{ 'a' | center(999999999) }}",
    "{{ 'a\nb' | indent(999999999) }}",
    "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
    "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
    "{{ lipsum(n=100000) }}",
]


@pytest.mark.parametrize("template", BROKEN + ESCAPES + ENDLESS + HUGE)
def test_a_hostile_template_is_refused_in_one_short_sentence(template: str) -> None:
    with pytest.raises(InputError, match="chat template") as caught:
        render_chat(template, HELLO)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("template", EMPTY)
def test_a_template_reads_nothing_of_our_objects(template: str) -> None:
    assert render_chat(template, HELLO) == ""
    assert render_chat("{{ messages[0].role }}", HELLO) == "user"


def test_a_long_chat_is_well_within_the_budget() -> None:
    many = [{"role": "user", "content": "word " * 200}] * 2_000
    assert render_chat(TEMPLATES["chatml"], many).count("<|im_start|>user") == 2_000


@given(st.lists(st.sampled_from(["<|im_end|>", "<|im_start|>", "a", "|", "<", "\ufdd0", "\ufdd1", "é"]), max_size=12))
def test_marks_part_a_messages_special_tokens_from_the_templates(parts: list[str]) -> None:
    special = ["<|im_end|>", "<|im_start|>"]
    text = "".join(parts)
    pieces = split_marked("<|im_start|>" + mark([{"content": text}], special)[0]["content"] + "<|im_end|>")
    unmarked = text.replace("\ufdd0", "").replace("\ufdd1", "")
    assert "".join(piece for piece, _ in pieces) == f"<|im_start|>{unmarked}<|im_end|>"
    ours = "".join(piece for piece, own in pieces if own)
    assert ours.count("<|im_start|>") == ours.count("<|im_end|>") == 1
    # Control: nothing is a message's own when nothing is special.
    assert all(own for _, own in split_marked(mark([{"content": text}], [])[0]["content"]))
