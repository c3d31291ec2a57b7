"""Who may ask, how often, and what may be used once."""

import json
import os

import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.serve.attempts import LOCK_FAILURES, Attempts, Outcome, State
from rawnet_jax.serve.challenges import Challenges
from rawnet_jax.serve.keys import ApiKey, KeyRing, Role, add_key, read_keys, remove_key
from rawnet_jax.serve.limits import RateLimiter
from rawnet_jax.serve.private_file import Secret, read_private
from rawnet_jax.serve.tickets import Tickets
from tests.serve.clock import Clock

ENTRY = ApiKey("login", Role.GATE, "0" * 64)


@pytest.fixture
def clock():
    return Clock()


def id_of(ring, text):
    found = ring.find(text)
    return None if found is None else found.id


def test_a_key_is_found_and_expires(tmp_path, clock):
    path = tmp_path / "keys.json"
    text = add_key(path, ENTRY)
    short = add_key(path, ApiKey("short", Role.ANALYST, "0" * 64, expires_at=clock() + 10))
    ring = KeyRing(path, wall_clock=clock, clock=clock)
    assert id_of(ring, text) == "login"
    assert id_of(ring, short) == "short"
    assert ring.find(text[:-1]) is None
    assert ring.find("") is None
    clock.now += 11
    assert ring.find(short) is None
    assert text not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_entry_is_compared_in_constant_time(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    first, *_ = [add_key(path, ApiKey(f"k{i}", Role.GATE, "0" * 64)) for i in range(3)]
    ring, seen = KeyRing(path), []

    def noting(one, other):
        seen.append(one)
        return one == other

    monkeypatch.setattr("rawnet_jax.serve.keys.hmac.compare_digest", noting)
    assert id_of(ring, first) == "k0"
    assert len(seen) == 3


def test_the_file_is_read_again_and_fails_closed(tmp_path, clock):
    path = tmp_path / "keys.json"
    text = add_key(path, ENTRY)
    ring = KeyRing(path, wall_clock=clock, clock=clock)
    more = add_key(path, ApiKey("second", Role.GATE, "0" * 64))
    assert ring.find(more) is None  # looked at a moment ago
    clock.now += 2
    assert id_of(ring, more) == "second"
    remove_key(path, "second")
    clock.now += 2
    assert ring.find(more) is None
    assert ring.find(text) is not None
    os.chmod(path, 0o644)
    clock.now += 2
    assert ring.find(text) is None  # others may read it: nobody is let in
    os.chmod(path, 0o600)
    clock.now += 2
    assert id_of(ring, text) == "login"
    path.write_text("{")
    ring.reload(forced=True)
    assert len(ring) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"role": "admin"}, "role 'admin'"),
        ({"sha256": "A" * 64}, "sha256"),
        ({"id": "a b"}, "key id"),
        ({"streams": -1}, "streams"),
        ({"colour": 1}, "an entry must be"),
    ],
)
def test_a_damaged_file_is_one_clear_line(tmp_path, change, said):
    path = tmp_path / "keys.json"
    add_key(path, ENTRY)
    record = json.loads(path.read_text())
    record["keys"][0] |= change
    path.write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=said):
        read_keys(path)


def test_the_command_makes_lists_and_removes(tmp_path, capsys):
    path = str(tmp_path / "keys.json")
    assert main(["serve-key", "--keys", path, "--role", "gate", "--id", "login"]) == 0
    text = capsys.readouterr().out.strip()
    assert id_of(KeyRing(path), text) == "login"
    assert main(["serve-key", "--keys", path, "--role", "gate", "--id", "login"]) == 2
    assert main(["serve-key", "--keys", path, "--list", "--id", "x"]) == 2
    assert main(["serve-key", "--keys", path, "--list"]) == 0
    assert capsys.readouterr().out == "login: gate\n"
    assert main(["serve-key", "--keys", path, "--remove", "login"]) == 0
    assert main(["serve-key", "--keys", path, "--remove", "login"]) == 2


def test_secrets_are_private_and_long(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"s" * 32)
    os.chmod(path, 0o604)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_private(path, "--secret")
    os.chmod(path, 0o600)
    one = Secret.read(path)
    assert one.tag("subject", "ann") == Secret(b"s" * 32).tag("subject", "ann")
    assert one.tag("subject", "ann") != one.tag("audio", "ann")
    with pytest.raises(ConfigError, match="32 or more"):
        Secret(b"short")


def test_a_bucket_fills_again(clock):
    limiter = RateLimiter(60, 2, clock=clock)
    assert [limiter.take("a").allowed for _ in range(3)] == [True, True, False]
    refused = limiter.take("a")
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit"] == '"key";r=0;t=2'
    assert limiter.take("b").allowed
    clock.now += 1
    assert limiter.take("a").allowed
    assert not limiter.take("a").allowed


def test_a_challenge_is_of_its_key_and_single_use(clock):
    challenges = Challenges(clock=clock, wall_clock=clock)
    one = challenges.issue("login")
    assert one is not None
    assert one.expires_at == clock() + 60
    assert challenges.use(one.id, "other") is None
    assert challenges.use(one.id, "login") == one
    assert challenges.use(one.id, "login") is None
    late = challenges.issue("login")
    assert late is not None
    clock.now += 61
    assert challenges.use(late.id, "login") is None
    assert sum(challenges.issue("greedy") is not None for _ in range(1_100)) == 1_000
    assert challenges.issue("login") is not None


def issued(tickets):
    found = tickets.issue("login")
    assert found is not None
    return found.ticket


def test_a_ticket_opens_one_socket(clock):
    tickets = Tickets(clock=clock, wall_clock=clock)
    ticket = issued(tickets)
    assert tickets.use(ticket) == "login"
    assert tickets.use(ticket) is None
    late = issued(tickets)
    clock.now += 60
    assert tickets.use(late) is None


def fail(attempts, clock, subject, source, times, wait_s=31.0, outcome=Outcome.FAILED):
    for _ in range(times):
        standing, attempt = attempts.begin(subject, source)
        assert attempt is not None, standing
        attempts.end(attempt, outcome)
        clock.now += wait_s


def test_five_failures_then_waiting_then_locked(clock):
    attempts = Attempts(wall_clock=clock)
    fail(attempts, clock, "ann", None, 5, wait_s=0)
    standing, attempt = attempts.begin("ann", None)
    assert (standing.state, attempt) == (State.WAIT, None)
    assert standing.retry_after_s == 30
    assert attempts.begin("bob", None)[0].state is State.OPEN
    clock.now += 30
    fail(attempts, clock, "ann", None, int(LOCK_FAILURES) - 5)
    assert attempts.begin("ann", None)[0].state is State.LOCKED
    clock.now += 1e7
    assert attempts.begin("ann", None)[0].state is State.LOCKED
    assert attempts.unlock("ann")
    assert attempts.begin("ann", None)[0].state is State.OPEN


def test_many_at_once_gain_nothing(clock):
    attempts = Attempts(wall_clock=clock)
    begun = [attempts.begin("ann", "here")[1] for _ in range(20)]
    assert sum(attempt is not None for attempt in begun) == 5


def test_a_source_is_counted_over_all_subjects(clock):
    attempts = Attempts(wall_clock=clock)
    for name in "abcde":
        fail(attempts, clock, name, "here", 1, wait_s=0)
    assert attempts.begin("f", "here")[0].state is State.WAIT
    assert attempts.begin("f", "there")[0].state is State.OPEN


def test_passing_clears_the_subject_not_the_source(clock):
    attempts = Attempts(wall_clock=clock)
    fail(attempts, clock, "ann", "here", 4, wait_s=0)
    fail(attempts, clock, "ann", "here", 1, wait_s=0, outcome=Outcome.PASSED)
    fail(attempts, clock, "ann", "here", 1, wait_s=0)
    assert attempts.begin("ann", "there")[0].state is State.OPEN
    assert attempts.begin("bob", "here")[0].state is State.WAIT
    clock.now += 600 * 5
    assert attempts.begin("bob", "here")[0].state is State.OPEN


def test_what_cannot_be_judged_counts_half_and_own_faults_not(clock):
    attempts = Attempts(wall_clock=clock)
    fail(attempts, clock, "ann", None, 9, wait_s=0, outcome=Outcome.CANNOT_JUDGE)
    fail(attempts, clock, "ann", None, 9, wait_s=0, outcome=Outcome.VOID)
    fail(attempts, clock, "ann", None, 1, wait_s=0, outcome=Outcome.CANNOT_JUDGE)
    assert attempts.begin("ann", None)[0].state is State.WAIT


def test_counts_survive_a_restart(tmp_path, clock):
    path = tmp_path / "attempts.db"
    attempts = Attempts(path, wall_clock=clock)
    fail(attempts, clock, "ann", None, 5, wait_s=0)
    attempts.close()
    assert Attempts(path, wall_clock=clock).begin("ann", None)[0].state is State.WAIT
    path.write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match="cannot be used"):
        Attempts(path, wall_clock=clock)
    os.chmod(path, 0o666)
    with pytest.raises(ConfigError, match="chmod 600"):
        Attempts(path)


def test_memory_is_bounded_and_who_waits_stays(clock, monkeypatch):
    monkeypatch.setattr("rawnet_jax.serve.attempts._MOST_ROWS", 50)
    attempts = Attempts(wall_clock=clock)
    fail(attempts, clock, "ann", None, 5, wait_s=0)
    for number in range(200):
        fail(attempts, clock, f"s{number}", None, 1, wait_s=0.01)
    assert attempts.begin("ann", None)[0].state is State.WAIT
    assert attempts._db.execute("SELECT COUNT(*) FROM attempts").fetchone()[0] <= 51
