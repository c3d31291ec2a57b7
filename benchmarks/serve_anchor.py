"""LitServe with the model and the settings of this project's service; see `benchmarks.serve`.

POST /predict takes {"audio": base64 of a file}: LitServe takes JSON or forms. The model, the batch,
the wait for others of a batch and the longest wait in the queue are those of the service. Every
shape of a batch is compiled first. The same library decodes, in LitServe's one process that scores.
"""

import base64
import socket
import sys
from typing import Any

import litserve

from benchmarks.serve_load import recording
from benchmarks.serve_process import detector_of, tell_url
from rawnet_jax.serve.settings import Settings

SETTINGS = Settings()


class Api(litserve.LitAPI):
    """Scores files in batches."""

    def __init__(self, workdir: str) -> None:
        super().__init__(max_batch_size=SETTINGS.batch, batch_timeout=SETTINGS.batch_wait_s)
        self.workdir = workdir

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Load the detector; LitServe calls this in the process that scores."""
        self.detector = detector_of(self.workdir)
        for rows in range(1, SETTINGS.batch + 1):
            self.detector.score([recording(1.0)] * rows, progress=False)

    def decode_request(self, request: dict[str, str]) -> bytes:
        return base64.b64decode(request["audio"])

    def predict(self, audio: list[bytes]) -> list[dict[str, Any]]:
        found = self.detector.score(list(audio), progress=False)
        return [dict(one.to_dict()) for one in found]

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


def main() -> None:
    server = litserve.LitServer(Api(sys.argv[1]), accelerator="cpu", timeout=SETTINGS.queue_wait_s)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tell_url(f"http://127.0.0.1:{port}")
    server.run("127.0.0.1", port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
