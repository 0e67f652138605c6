"""Pages of this project in a browser, as wide as asked."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from html import unescape

import pytest

CHROMIUM = shutil.which("chromium")
FRAME = """<body><iframe src="{page}" style="width:{width}px;height:900px;border:0"></iframe>
<pre id="found"></pre>
<script>
onload = () => {{
  const page = document.querySelector("iframe").contentDocument, root = page.documentElement;
  page.querySelectorAll("details").forEach(one => one.open = true);
  const shown = one => one.getClientRects().length > 0;
  const cut = one => one.scrollWidth > one.clientWidth && one.clientWidth > 0;
  document.querySelector("#found").textContent = JSON.stringify({{
    page: [root.scrollWidth, root.clientWidth],
    scrolled: [...page.querySelectorAll(".scroll, .only")].filter(cut).map(one => one.textContent.trim().slice(0, 60)),
    hints: [...page.querySelectorAll(".hint")].filter(shown).length,
    narrow: [...page.querySelectorAll(".narrow")].filter(shown).length,
    film: [...page.querySelectorAll(".film div")].map(one => one.getBoundingClientRect().right),
    cards: [...page.querySelectorAll(".cards")].map(row => new Set([...row.children].map(one => one.offsetTop)).size),
    broken: [...page.querySelectorAll('a[href^="#"]')].filter(one => !page.querySelector(one.getAttribute("href")))
      .map(one => one.getAttribute("href")),
    outside: [...page.querySelectorAll("[src], link[href]")].map(one => one.src || one.href)
      .filter(one => !one.startsWith("data:")),
  }});
}};
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing of what it serves."""

    def log_message(self, *_):
        """Nothing."""


def chromium(address, folder, *action):
    """What Chromium says of a page after its scripts have run, with no network."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; `make test-pipeline` does it on Debian")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
    command += [f"--user-data-dir={folder}", "--window-size=1600,1000", "--virtual-time-budget=10000", *action, address]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def looked_at(page, width, folder):
    """What a window `width` pixels wide shows of the file `page`, all folded parts open."""
    (page.parent / "frame.html").write_text(FRAME.format(page=page.name, width=width))
    handler = functools.partial(Quiet, directory=page.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shown = chromium(f"http://127.0.0.1:{server.server_port}/frame.html", folder, "--dump-dom")
        server.shutdown()
    found = re.search('<pre id="found">(.*?)</pre>', shown, re.DOTALL)
    return json.loads(unescape(found[1]))
