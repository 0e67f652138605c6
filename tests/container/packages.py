"""How this machine's pip finds packages, told to a build."""

import functools
import http.server
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def build_options():
    """The options of `docker build` while a folder of wheels, if pip is told one, is served on the loopback."""
    settings, options, server = pip_settings(), [], None
    for name in ("index-url", "extra-index-url"):
        urls = " ".join(url for url in settings.get(name, "").split() if url.startswith("http"))
        if urls:
            options += ["--build-arg", f"PIP_{name.upper().replace('-', '_')}={urls}"]
    if settings.get("cert"):
        options += ["--secret", f"id=ca,src={settings['cert']}"]
    wheels = settings.get("find-links")
    if wheels and Path(wheels).is_dir():
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=wheels))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options += ["--build-arg", f"PIP_FIND_LINKS=http://127.0.0.1:{server.server_port}/"]
    try:
        yield options
    finally:
        if server:
            server.shutdown()
            server.server_close()


def pip_settings():
    """By the names of pip's options, whether they come from a file or from the environment."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pairs = [line.partition("=") for line in listed.splitlines()]
    return {name.rpartition(".")[2]: value.strip("'\"") for name, _, value in pairs}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *_):
        pass
