"""Who sees why a body was refused: clients that send all of it first, and how much is dropped.

`PYTHONPATH=src:tests python tests/http/refusals_seen.py` prints the table of docs/reliability.md.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx

from acceptance.serving import serving

TRIES = 10
MB = 10**6
SIZES = (5 * MB, 20 * MB, 60 * MB)
PATH = "/ai/features/get"
_SERVE = "from ai_hub.cli import main; main()"
_LITTLE = "import ai_hub.http.connection as c; c.most_dropped = lambda headers, most: 1 << 20; "
DROPPED = {"1 MiB": _LITTLE + _SERVE, "the body": _SERVE}
_NODE = """
const [url, size] = [process.argv[1], Number(process.argv[2])];
const answer = await fetch(url, {method: "POST", body: Buffer.alloc(size, " ")});
console.log(answer.status);
"""
_JAVA = """
import java.net.*; import java.net.http.*; import java.util.Arrays;
public class Sends {
  public static void main(String[] given) throws Exception {
    byte[] body = new byte[Integer.parseInt(given[1])];
    Arrays.fill(body, (byte) ' ');
    URI uri = URI.create(given[0]);
    if (given[2].equals("old")) {
      HttpURLConnection one = (HttpURLConnection) uri.toURL().openConnection();
      one.setDoOutput(true);
      one.getOutputStream().write(body);
      System.out.println(one.getResponseCode());
    } else {
      HttpRequest request = HttpRequest.newBuilder(uri)
          .POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
      System.out.println(HttpClient.newHttpClient()
          .send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
    }
  }
}
"""


def by_http_client(port: int, size: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", PATH, b" " * size)
    return str(connection.getresponse().status)


def by_httpx(port: int, size: int) -> str:
    url = f"http://127.0.0.1:{port}{PATH}"
    return str(httpx.post(url, content=b" " * size, timeout=30, trust_env=False).status_code)


def by_command(*words: str) -> Callable[[int, int], str]:
    def send(port: int, size: int) -> str:
        url = f"http://127.0.0.1:{port}{PATH}"
        told = [word.format(url=url, size=size) for word in words]
        done = subprocess.run(told, input=b" " * size, capture_output=True, timeout=60, check=False)
        return done.stdout.decode().strip()

    return send


def clients(folder: Path) -> dict[str, Callable[[int, int], str]]:
    """Those that are here, by name."""
    java = folder / "Sends.java"
    java.write_text(_JAVA)
    curl = ("curl", "-s", "-o", os.devnull, "-w", "%{{http_code}}", "--data-binary", "@-", "{url}")
    ones: dict[str, tuple[str, ...]] = {
        "curl": curl,
        "curl, without Expect": (*curl[:-1], "-H", "Expect:", "{url}"),
        "Node's fetch": (
            "node",
            "--input-type=module",
            "-e",
            _NODE.replace("{", "{{").replace("}", "}}"),
            "{url}",
            "{size}",
        ),
        "the JDK's HttpClient": ("java", str(java), "{url}", "{size}", "new"),
        "the JDK's HttpURLConnection": ("java", str(java), "{url}", "{size}", "old"),
    }
    found = {name: by_command(*words) for name, words in ones.items() if shutil.which(words[0])}
    return {"Python's http.client": by_http_client, "httpx": by_httpx, **found}


def seen(send: Callable[[int, int], str], port: int, size: int) -> int:
    """How often it was told of a refusal."""
    count = 0
    for _ in range(TRIES):
        try:
            count += send(port, size) == "413"
        except (OSError, httpx.HTTPError, http.client.HTTPException):
            continue
    return count


def main() -> None:
    table: dict[str, list[str]] = {}
    for program in DROPPED.values():
        folder = Path(tempfile.mkdtemp())
        with serving((sys.executable, "-c", program, "serve"), folder) as server:
            for name, send in clients(folder).items():
                cells = table.setdefault(name, [])
                cells += [f"{seen(send, server.port, size)}" for size in SIZES]
    heads = [f"{size // MB} MB, {dropped} dropped" for dropped in DROPPED for size in SIZES]
    print(f"| of {TRIES} | {' | '.join(heads)} |")
    print("|---|" + "--:|" * len(heads))
    for name, cells in table.items():
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print(f"\nThe load was {os.getloadavg()[0]:.0f} at the end, on {os.cpu_count()} cores.")


if __name__ == "__main__":
    main()
