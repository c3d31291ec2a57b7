"""``/v1/twilio`` with calls as Twilio sends them."""

import base64

import numpy as np

from rawnet_jax.serve.decisions import verify_decision
from rawnet_jax.serve.keys import Role
from tests.serve.stream_client import TWILIO, Client, keyed


def media(data, **more):
    payload = {"payload": base64.b64encode(data).decode(), "track": "inbound", **more}
    return {"event": "media", "streamSid": "MZ1", "media": payload}


def begin(call="CA1", **parameters):
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1}
    started = {"callSid": call, "streamSid": "MZ1", "mediaFormat": form, "tracks": ["inbound"]}
    return {"event": "start", "start": started | {"customParameters": parameters}}


def dial(server, messages, signature=None):
    signed = {"X-Twilio-Signature": TWILIO.signature() if signature is None else signature}
    with Client(server, "/v1/twilio", additional_headers=signed) as client:
        for message in messages:
            client.send(message)
        return client.rest()[1]


def told(server, call, role=Role.GATE):
    answer = server.client.get(f"/v1/calls/{call}", headers=keyed(role)["additional_headers"])
    return answer.json() if answer.status_code == 200 else answer.status_code


def test_a_call_from_twilio(guarded):
    codes = np.random.default_rng(8).integers(0, 256, 16_000, np.uint8).tobytes()  # loud
    pieces = [media(codes[k : k + 160], chunk=str(k)) for k in range(0, len(codes), 160)]
    other = media(bytes(160), track="outbound")
    connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    stop = {"event": "stop", "stop": {"callSid": "CA1"}}
    call = [connected, begin(source="+1555"), *pieces, other, {"event": "mark"}, stop]
    assert dial(guarded, call) == 1000
    found = told(guarded, "CA1")
    token = found.pop("token")
    assert found == {"call_sid": "CA1", "state": "done", "verdict": "bonafide"}
    keys = guarded.service.gate.signer.key_set
    verify_decision(token, keys, audience="twilio", audio=codes)
    assert told(guarded, "CA1", Role.ANALYST)["duration_s"] == 2.0
    assert told(guarded, "CA9") == 404


def test_calls_that_are_not_from_twilio(guarded):
    assert dial(guarded, [], signature="x") == 4001
    assert dial(guarded, [], signature=TWILIO.signature("wss://evil/v1/twilio")) == 4001
    wrong = [
        [b"\x00"],
        ["{"],
        [{"event": "media"}],
        [{"event": "start"}],
        [begin() | {"start": {"callSid": "CA2"}}],
        [begin("CA3"), {"event": "media", "media": {"payload": "%%"}}],
        [begin("CA3"), {"event": "media", "media": 5}],
        [begin("CA3"), {"event": "surprise"}],
    ]
    for messages in wrong:
        assert dial(guarded, messages) in (1003, 1008), messages
    assert told(guarded, "CA3")["state"] == "failed"
    assert told(guarded, "CA3")["verdict"] == "cannot judge"
