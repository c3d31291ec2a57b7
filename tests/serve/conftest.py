"""A service with keys that streams."""

import pytest

from rawnet_jax.serve.audit import AuditLog
from rawnet_jax.serve.decisions import Signer
from rawnet_jax.serve.gate import Gate
from rawnet_jax.serve.keys import ApiKey, KeyRing, Role, add_key
from rawnet_jax.serve.private_file import Secret
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.settings import Settings
from tests.serve.running import running, stub_detector
from tests.serve.stream_client import PAGE, TEXTS, TWILIO
from tests.serve.test_gate_route import PEM


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A service with keys and a network that is none."""
    folder = tmp_path_factory.mktemp("guarded")
    texts = {
        role: add_key(folder / "keys.json", ApiKey(role.value, role, "0" * 64)) for role in Role
    }
    gate = Gate(
        secret=Secret(b"k" * 32),
        key_ring=KeyRing(folder / "keys.json"),
        audit=AuditLog(folder / "audit.jsonl"),
        signer=Signer(PEM),
        origins=frozenset({PAGE}),
        twilio=TWILIO,
    )
    settings = Settings(
        stream_idle_s=1.0, max_stream_s=4.0, streams_per_key=3, streams=4, answer_step_s=0
    )
    with running(Service(stub_detector(), settings, gate=gate)) as server:
        TEXTS.update(texts)
        yield server
