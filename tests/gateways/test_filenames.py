"""Untrusted file names: readable and harmless everywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videovault.gateways.source_response import MAX_CHARS, filename_hint, safe_name, title_from_url

FORBIDDEN = set('/\\:*?"<>|\x00\n\r\u202e\u2066\u200e')


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://h.example/a/video.mp4?X-Sig=1#t", "video"),
        ("https://h.example/My%20Video%20%C3%BC.final.webm", "My Video \u00fc.final"),
        ("https://h.example/v1.2", "v1.2"),
        ("https://h.example/The%20end.%20Really", "The end. Really"),
        ("https://h.example/no-ending", "no-ending"),
        ("https://h.example/a.tar.gz", "a.tar"),
        ("https://h.example/", "video"),
        ("https://h.example", "video"),
        ("https://h.example/folder/", "video"),
        ("https://h.example/.mp4", "video"),
        ("https://h.example/..", "video"),
        ("https://h.example/%2e%2e%2fetc%2fpasswd", "passwd"),
        ("https://h.example/a%5C..%5Cb.mp4", "b"),
        ("https://h.example/%00%0a%e2%80%ae.mp4", "video"),
        ("https://h.example/gnp%E2%80%AE4pm.exe", "gnp4pm"),
        ("https://h.example/%F0%9F%8E%AC%ff.mp4", "\U0001f3ac"),
        ("https://h.example/" + "x" * 300 + ".mp4", "x" * MAX_CHARS),
        ("https://[broken/video.mp4", "video"),
        ("", "video"),
    ],
)
def test_a_title_is_the_file_name_without_its_extension(url: str, title: str) -> None:
    assert title_from_url(url) == title


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="my film.mp4"', "my film.mp4"),
        ("attachment; filename=film.mp4", "film.mp4"),
        ("attachment; filename*=UTF-8''na%C3%AFve.mp4", "na\u00efve.mp4"),
        ("attachment; filename=\"plain.mp4\"; filename*=UTF-8''real%20name.mp4", "real name.mp4"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\film.mp4"', "film.mp4"),
        ("attachment; filename*=UTF-8''..%2F..%2Fsecret.mp4", "secret.mp4"),
        ("attachment; filename*=UTF-8''a%0D%0ASet-Cookie:%20b.mp4", "a Set-Cookie_ b.mp4"),
        ("attachment; filename*=nonsense''%ff.mp4", "\u00ff.mp4"),
        ("attachment;filename = film.mp4 ; size=1", "film.mp4"),
        ("attachment; filename=my film, the 2nd.mp4", "my film, the 2nd.mp4"),
        ('attachment; filename="my%20film.mp4"', "my film.mp4"),
        ('attachment; filename="100% mine.mp4"', "100% mine.mp4"),
        ('attachment; filename="%ff.mp4"', "%ff.mp4"),
        ('attachment; filename="a \\"quoted\\"; film.mp4"', "a _quoted_; film.mp4"),
        ('attachment; filename="no end.mp4', "no end.mp4"),
        ('attachment; filename="no end.mp4\\', "no end.mp4"),
        ("attachment; filename*=idna''%ff.mp4", "\u00ff.mp4"),
        ("attachment; filename*=unicode_escape''%5Cud800.mp4", "ud800.mp4"),
        ("attachment; FILENAME*=utf-8'en'a%20b.mp4", "a b.mp4"),
        ("attachment; filename*=ISO-8859-1''%fc.mp4", "\u00fc.mp4"),
        ('attachment; filename*=""; filename="plain.mp4"', "plain.mp4"),
        ("attachment; filename=first.mp4; filename=second.mp4", "first.mp4"),
        ("attachment; xfilename=film.mp4", "from-url.mp4"),
        ("attachment; filename*=", "from-url.mp4"),
        ("attachment", "from-url.mp4"),
        ("", "from-url.mp4"),
        ("\u0000;;;==", "from-url.mp4"),
        ("x" * 100_000, "from-url.mp4"),
    ],
)
def test_a_hint_comes_from_the_header_or_the_url(header: str, name: str) -> None:
    assert filename_hint(header, "https://h.example/from-url.mp4") == name


@given(st.text())
def test_a_safe_name_is_short_and_harmless(text: str) -> None:
    name = safe_name(text)
    assert len(name) <= MAX_CHARS
    assert not FORBIDDEN & set(name)
    assert name == name.strip(" .")
    assert safe_name(name) == name


@given(st.text())
def test_any_header_and_any_url_yield_a_name(text: str) -> None:
    assert filename_hint(text, text)
    assert title_from_url(text)
