from opsbrief.maths.mining import Known, Miner, mask, settle


def test_pieces_with_digits_are_masked_and_the_rest_is_kept() -> None:
    line = "12:03:04 user=bob42 took 17ms at /api/v2/items?id=9&q=lamp (10.0.0.1:80) é\tend"
    assert mask([line]) == ["<*> user=<*> took <*> at /api/<*>/items?id=<*>&q=<*> (<*>) é end"]


def test_lines_keep_their_place_whatever_is_in_them() -> None:
    lines = ["", "1", "a", "first 1\nsecond", "1 end", "end 1", "   ", "x" * 300_000]
    assert mask(lines) == ["", "<*>", "a", "first <*>", "<*> end", "end <*>", "", "x" * 300_000]


def test_a_place_that_was_seen_to_vary_is_a_variable() -> None:
    keys = [f"invalid user {name} from <*>" for name in ("anna", "bert", "carl", "dora")]
    assert set(settle(keys).values()) == {"invalid user <*> from <*>"}


def test_two_words_in_one_place_are_two_messages() -> None:
    keys = ["service started in <*>", "service stopped in <*>"]
    assert settle(keys) == {key: key for key in keys}


def test_endpoints_stay_apart() -> None:
    keys = [f"GET /{name} <*>" for name in ("basket", "search", "order", "login", "logout")]
    assert settle(keys) == {key: key for key in keys}


def test_known_covers_other_values_of_a_variable_but_no_new_message() -> None:
    known = Known([f"login of {name} refused" for name in ("anna", "bert", "carl", "dora")] + ["pool is full"])
    assert known.covers("login of emil refused")
    assert known.covers("pool is full")
    assert not known.covers("pool is empty")
    assert not known.covers("login of emil accepted")


def test_a_miner_counts_a_stream_and_forgets_no_line_at_its_limit() -> None:
    miner = Miner(limit=50)
    miner.add(f"word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)} seen {n} times" for n in range(5000))
    assert miner.lines == 5000
    assert miner.patterns().total() == 5000
    assert len(miner.patterns()) <= 60
