"""What was private stays private, in whatever words its source says so."""

import pytest

from notebook.importing.bringing import bring

PAGE = (
    "---\ntitle: A page\n{row}\n---\n\n# Terms\n\n## First term\n\nIt means one.\n\n## Second term\n\nIt means two.\n"
)


@pytest.mark.parametrize(
    "row", ["private: true", "private: yes", "Private: 'on'", "private: perhaps", "private:", "privat: 1"]
)
def test_every_entry_of_a_private_page_is_private(tmp_path, row):
    found = bring(tmp_path, PAGE.format(row=row)).notebook
    assert len(found.entries) >= 3
    assert [entry.slug for entry in found.public] == []


@pytest.mark.parametrize("row", ["private: false", "private: 'no'", "tags: [private]"])
def test_control_a_page_that_says_no_stays_public(tmp_path, row):
    found = bring(tmp_path, PAGE.format(row=row)).notebook
    assert len(found.public) == len(found.entries) >= 3
