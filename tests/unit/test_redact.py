import base64
import json
import time
from dataclasses import replace
from urllib.parse import quote

import pytest
from tests.unit.test_bundle import evidence

from opsbrief.model.evidence import LogSample
from opsbrief.redact import Redactor, redact

SECRET = 'pa:s/s w"ord!'


@pytest.mark.parametrize(
    "form",
    [SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1], base64.b64encode(SECRET.encode()).decode().rstrip("=")],
)
def test_a_configured_secret_goes_in_every_form_it_travels_in(form: str) -> None:
    redactor = Redactor([SECRET])
    assert redactor.text(f"before {form} after").replace("=", "") == "before [redacted:credential] after"
    assert redactor.counts == {"credential": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("login password=hunter22 ok", "login password=[redacted:password] ok"),
        ('{"api_key": "k-123456", "user": "x"}', '{"api_key": "[redacted:password]", "user": "x"}'),
        (r"{\"secret\": \"k-123456\"}", r"{\"secret\": \"[redacted:password]\"}"),
        ("GET https://ops:hunter2@host/x", "GET https://ops:[redacted:url-password]@host/x"),
        ("GET /x?token=abcdef123&y=1", "GET /x?token=[redacted:url-token]&y=1"),
        ("Authorization: Basic b3BzOmh1bnRlcjI=", "Authorization: Basic [redacted:authorization]"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key [redacted:aws-key] used"),
        ("Cookie: sid=abc123; theme=dark", "Cookie: [redacted:cookie]"),
        ("mysql -u root -psecret9 shop", "mysql -u root -p[redacted:mysql-password] shop"),
    ],
)
def test_what_looks_like_a_credential_goes_and_its_surroundings_stay(text: str, expected: str) -> None:
    assert Redactor().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "password authentication failed for user root",
        "commit 9f3c2e1d4b5a69788796a5b4c3d2e1f001122334 by trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "token bucket full, session opened for user ops, 10.0.0.7:9300",
        "request 550e8400-e29b-41d4-a716-446655440000 to https://search.example:9200/logs/_search",
        "passing 3 arguments; secretary; tokenizer=standard",
    ],
)
def test_evidence_that_only_looks_alike_stays(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    "unit", ["password", "p", "a://", "x:", "eyJ", "-----BEGIN PRIVATE KEY-----a", "mysql ", "token=", "Cookie:"]
)
def test_the_cost_of_the_worst_line_grows_with_its_length(unit: str) -> None:
    redactor = Redactor([SECRET])

    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        started = time.process_time()
        redactor.text(text)
        return time.process_time() - started

    cost(1000)
    assert cost(400_000) < 10 * max(cost(40_000), 0.02) * 2


def test_evidence_is_redacted_everywhere_and_counted() -> None:
    found = evidence()
    clean = redact(found, ["ab" * 20])
    assert clean.redactions == {"credential": 2}
    assert "ab" * 20 not in str(clean)


def test_evidence_without_credentials_is_returned_equal() -> None:
    found = evidence()
    assert redact(found).outcomes[1] == found.outcomes[1]
    assert redact(found).redactions == {}


def test_the_users_own_patterns_count_under_their_names() -> None:
    redactor = Redactor(patterns={"customer": r"\bC\d{8}\b"})
    assert redactor.text("order of C12345678") == "order of [redacted:customer]"
    assert redactor.counts == {"customer": 1}


@pytest.mark.parametrize(
    "text",
    [
        "access token=abcd1234 and PA\u017f\u017fWORD: hunter22",
        "refresh-token=abcd1234",
        "JSESSIONID=0123abcd",
        "\u0130 after it bindpw = hunter22",
        "hash $6$saltsalt$abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_among_many_lines_the_one_with_a_credential_is_found_as_when_it_stands_alone(text: str) -> None:
    alone = Redactor()
    expected = alone.text(text)
    whole = evidence()
    sample = next(item for outcome in whole.outcomes for item in outcome.items if isinstance(item, LogSample))
    bodies = ["a session opened", text, "\u0130\u0131 nothing", "token bucket"] * 3
    records = tuple(replace(sample.records[0], body=body) for body in bodies)
    together = Redactor()
    found = together.value(replace(sample, records=records))
    assert [record.body for record in found.records] == [expected if body == text else body for body in bodies]
    assert together.counts == {rule: 3 * count for rule, count in alone.counts.items()}
