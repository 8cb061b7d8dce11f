"""Downloads from a mirror on this machine: good, bad, slow or killed half-way."""

import gzip
import http.server
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pooch
import pytest
import requests

from mlpcw import mnist
from mlpcw.data import download as fetching
from mlpcw.data import images


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers with `server.answers` of the file: (status, headers, body)."""

    def do_GET(self):
        self.server.asked.append(self.path)
        status, headers, body = self.server.answers.get(Path(self.path).name, (404, {}, b"no"))
        self.send_response(status)
        for key, value in ({"Content-Length": len(body)} | headers).items():
            if value is not None:
                self.send_header(key, str(value))
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
            if self.server.stalls:
                self.server.released.wait(30)
            for _ in range(1500 if self.server.trickles else 0):  # 30 s, or until released
                if self.server.released.wait(0.02):
                    break
                self.wfile.write(b"\0")
        except ConnectionError:
            pass  # the client has hung up

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(little_mnist):
    """`mirror(answers)` starts a server on this machine; by default a mirror of `little_mnist`."""
    servers, good = [], {f"{name}.gz": packed(file) for name, file in little_mnist.items()}

    def start(answers=None, stalls=False, trickles=False):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
        server.answers = good | (answers or {})
        server.asked, server.stalls, server.trickles = [], stalls, trickles
        server.released = threading.Event()
        server.address = f"http://127.0.0.1:{server.server_port}/mnist/"
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.released.set()
        server.shutdown()
        server.server_close()


def packed(content: bytes, **headers) -> tuple:
    return 200, headers, gzip.compress(content)


FIRST = "train-images-idx3-ubyte"


def test_download_fetches_all_four(mirror, tmp_path, monkeypatch, capfd):
    server = mirror()
    folder = tmp_path / "new" / "folder"
    monkeypatch.setenv("MLPCW_DATA_DIR", str(folder))
    assert mnist.download(mirrors=[server.address]) == folder
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}.gz" for name in images.FILES
    )
    assert server.asked == [f"/mnist/{name}.gz" for name in images.FILES]
    assert len(mnist.load(folder).split("train")[0]) == 50
    assert len(mnist.verify(folder)) == 4
    captured = capfd.readouterr()
    assert "100%" in captured.err and captured.out == ""


def test_download_fetches_only_what_is_missing(mirror, little_folder, capfd):
    server = mirror()
    plain = little_folder / "t10k-images-idx3-ubyte"
    before = {path.name: path.read_bytes() for path in little_folder.iterdir()}
    mnist.download(little_folder, progress=False, mirrors=[server.address])
    assert server.asked == []
    assert {path.name: path.read_bytes() for path in little_folder.iterdir()} == before
    plain.unlink()
    mnist.download(little_folder, progress=False, mirrors=[server.address.rstrip("/")])
    assert server.asked == [f"/mnist/{plain.name}.gz"]
    assert mnist.available(little_folder)
    assert capfd.readouterr().err == ""


GOOD = gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 3, 5, 4) + bytes(60))
BAD_ANSWERS = {
    "404": (404, {}, b"not here", "404 Client Error"),
    "500": (500, {}, b"oh", "500 Server Error"),
    "web page": (200, {}, b"<html>log in first</html>", "found 3c 68 74 6d as the first bytes"),
    "cut short": (200, {"Content-Length": None}, GOOD[:12], "gzip stream that is cut short"),
    "less than promised": (200, {"Content-Length": 10**6}, GOOD, "IncompleteRead"),
    "empty": (200, {}, b"", "found nothing as the first bytes"),
    "another shape": (200, {}, GOOD, "found the shape (3, 5, 4), expected (60, 3, 2)"),
    "too long": (200, {}, b"x" * 2**20, "found more than 65896 bytes"),
    "nonsense": (200, {"Content-Length": "much"}, b"", "'much'"),
    "moved": (302, {"Location": "/elsewhere"}, b"", "404 Client Error"),
    "circle": (302, {"Location": f"/{FIRST}.gz"}, b"", "redirects"),
    "a file": (302, {"Location": "file:///etc/hosts"}, b"", "found a redirection to file:///etc/h"),
    "ftp": (
        302,
        {"Location": "ftp://127.0.0.1/x"},
        b"",
        "found a redirection to ftp://127.0.0.1/x",
    ),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_mirror_is_passed_over(answer, mirror, tmp_path):
    *answer, message = answer
    bad, good = mirror({f"{FIRST}.gz": answer}), mirror()
    mnist.download(tmp_path / "two", progress=False, mirrors=[bad.address, good.address])
    assert good.asked == [f"/mnist/{FIRST}.gz"]
    assert len(mnist.verify(tmp_path / "two")) == 4

    with pytest.raises(FileNotFoundError) as caught:
        mnist.download(tmp_path / "one", progress=False, mirrors=[bad.address])
    text = str(caught.value)
    assert text.startswith(f"{FIRST} could not be fetched ({bad.address} said: ")
    assert message in text
    assert text.endswith(
        f"): try again later, or put {FIRST}.gz from any copy of MNIST into {tmp_path / 'one'} "
        "by hand"
    )
    assert list((tmp_path / "one").iterdir()) == []


def test_altered_content_is_passed_over(mirror, little_mnist, tmp_path):
    altered = little_mnist[FIRST][:-1] + bytes([little_mnist[FIRST][-1] ^ 1])
    bad = mirror({f"{FIRST}.gz": packed(altered)})
    with pytest.raises(FileNotFoundError, match="altered"):
        mnist.download(tmp_path, progress=False, mirrors=[bad.address])
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_may_declare_the_compression(mirror, little_mnist, tmp_path):
    """It is then undone before the file is written."""
    server = mirror({f"{FIRST}.gz": packed(little_mnist[FIRST], **{"Content-Encoding": "gzip"})})
    mnist.download(tmp_path, progress=False, mirrors=[server.address])
    assert (tmp_path / f"{FIRST}.gz").read_bytes() == little_mnist[FIRST]
    assert len(mnist.verify(tmp_path)) == 4


def test_every_mirror_is_quoted(mirror, tmp_path):
    bad = mirror({f"{FIRST}.gz": (404, {}, b"")})
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(FileNotFoundError) as caught:
            mnist.download(tmp_path, progress=False, mirrors=[closed, bad.address])
    text = str(caught.value)
    assert f"({closed} said: " in text and f"; {bad.address} said: 404" in text
    assert len(text) < 800


def test_a_later_failure_keeps_what_was_fetched(mirror, tmp_path):
    last = "t10k-labels-idx1-ubyte.gz"
    with pytest.raises(FileNotFoundError, match="t10k-labels"):
        mnist.download(tmp_path, progress=False, mirrors=[mirror({last: (404, {}, b"")}).address])
    assert len(list(tmp_path.iterdir())) == 3
    server = mirror()
    mnist.download(tmp_path, progress=False, mirrors=[server.address])
    assert server.asked == [f"/mnist/{last}"]


def test_an_interrupted_download_leaves_nothing(little_mnist, tmp_path, monkeypatch):
    def interrupted(self, url, output_file, pooch):
        output_file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mnist.download(tmp_path, progress=False, mirrors=["http://127.0.0.1/"])
    assert list(tmp_path.iterdir()) == []


def test_a_killed_download_leaves_no_file_that_looks_good(mirror, little_mnist, tmp_path):
    half = gzip.compress(little_mnist[FIRST])[:-20]
    server = mirror({f"{FIRST}.gz": (200, {"Content-Length": 10**6}, half)}, stalls=True)
    code = (
        "from mlpcw import mnist\n"
        f"mnist.download({str(tmp_path)!r}, progress=False, mirrors=[{server.address!r}])"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=Path(mnist.__file__).parents[1])
    try:
        while not list(tmp_path.glob("*.part")):
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        child.kill()
    assert child.wait() == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    assert not mnist.available(tmp_path)
    server.stalls = False
    mnist.download(tmp_path, progress=False, mirrors=[mirror().address])
    assert len(mnist.verify(tmp_path)) == 4


@pytest.mark.parametrize("length", [None, 10**5], ids=["of no length", "of some length"])
@pytest.mark.parametrize(
    ("how", "limit"), [("stalls", "SECONDS_OF_SILENCE"), ("trickles", "SECONDS_A_FILE")]
)
def test_a_slow_mirror_is_passed_over(
    mirror, little_mnist, tmp_path, monkeypatch, how, limit, length
):
    monkeypatch.setattr(fetching, limit, 0.5)
    half = gzip.compress(little_mnist[FIRST])[:-20]
    answer = {f"{FIRST}.gz": (200, {"Content-Length": length}, half)}
    slow, good = mirror(answer, **{how: True}), mirror()
    start = time.monotonic()
    mnist.download(tmp_path, progress=False, mirrors=[slow.address, good.address])
    assert time.monotonic() - start < 25
    assert good.asked[0] == f"/mnist/{FIRST}.gz"
    assert len(mnist.verify(tmp_path)) == 4
    assert len(list(tmp_path.iterdir())) == 4


def test_a_download_that_has_ended_waits_for_nothing(mirror, tmp_path):
    bad = mirror({f"{FIRST}.gz": (404, {}, b"")})
    mnist.download(tmp_path, progress=False, mirrors=[bad.address, mirror().address])
    threads = threading.enumerate()
    assert all(t.finished.is_set() for t in threads if isinstance(t, threading.Timer))


def test_the_mirrors_are_two_and_https(monkeypatch, little_mnist, tmp_path):
    assert len(fetching.MIRRORS) == 2
    assert all(re.fullmatch(r"https://[\w./-]+/mnist/", mirror) for mirror in fetching.MIRRORS)
    monkeypatch.setattr(fetching, "MIRRORS", ("http://127.0.0.1/mnist/",))
    message = "mirror 'http://127.0.0.1/mnist/' is refused: the address must begin https://"
    with pytest.raises(ValueError, match=f"^{message}$"):
        mnist.download(tmp_path, progress=False)


def test_the_mirrors_are_tried_in_order(monkeypatch, little_mnist, tmp_path):
    asked = []

    def refuse(self, url, output_file, pooch):
        asked.append(url)
        assert self.kwargs["hooks"]["response"][0] is fetching._stay_with_https
        raise OSError("closed")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse)
    with pytest.raises(FileNotFoundError, match=r"said: closed; https://.* said: closed"):
        mnist.download(tmp_path, progress=False)
    assert asked == [f"{mirror}{FIRST}.gz" for mirror in fetching.MIRRORS]


def redirected(url, location):
    response = requests.Response()
    response.url = url
    if location:
        response.headers["Location"] = location
    fetching._stay_with_https(response)


@pytest.mark.parametrize("location", ["https://b/x", "/y", None, "//b/y", "?y"])
def test_a_redirection_may_stay_with_https(location):
    redirected("https://a/x", location)
    redirected("http://127.0.0.1/x", "http://127.0.0.1/y")


@pytest.mark.parametrize(
    "location",
    [
        "http://b/x",
        "HTTP://b/x",
        "FTP://b/x",
        "data:,x",
        "ht\ttp://b/x",
        "\x01http://b/x",
        "http:y",
    ],
)
def test_a_redirection_away_from_https_is_refused(location):
    with pytest.raises(ValueError, match=f"found a redirection to {location}, expected https"):
        redirected("https://a/x", location)
    with pytest.raises(ValueError, match="found a redirection to file:///etc/hosts"):
        redirected("http://127.0.0.1/x", "file:///etc/hosts")


def test_a_folder_that_cannot_be_written_is_named(mirror, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "mnist"
    message = rf"^the folder {folder} cannot be written \(.+\): set MLPCW_DATA_DIR to one that can$"
    with pytest.raises(OSError, match=message):
        mnist.download(folder, progress=False, mirrors=[mirror().address])
