"""What the tests of the page share: the page with a model, served, and Debian's Chromium."""

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from rawnet_jax.web.server import make_server

CHROMIUM = shutil.which("chromium")
BUILT = Path(__file__).parents[2] / "rawnet_jax" / "web" / "built" / "index.html"
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

# The sandbox of a browser needs rights that root in a container has not; the microphone is a beep.
ARGUMENTS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as the command `web` does; yields the address."""
    server = make_server(folder, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
