"""Fetching into the cache: a file is whole and verified there, or absent."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pooch
import pytest

from pfc_metarl.data import DATA_SETS, DataMissing, load
from pfc_metarl.data.download import download

fetch_over_http = pooch.HTTPDownloader.__call__  # before the fixture "toy" cuts it off


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "pfc_metarl" / "toy"


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes, then: type | None = None):
    """Make every download write some bytes, then perhaps break off."""

    def write(self, url, output_file, pooch):
        Path(output_file).write_bytes(content)
        if then is not None:
            raise then("broken off")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", write)


def test_what_is_not_in_the_cache_is_fetched_once(toy, cache, monkeypatch):
    serve(monkeypatch, toy.content)
    load("toy")
    serve(monkeypatch, b"", then=AssertionError)
    load("toy")
    assert toy.folders_read == [cache, cache]
    assert [path.name for path in cache.iterdir()] == ["toy.bin"]


def test_without_internet_the_message_says_what_to_do(toy, cache):
    with pytest.raises(DataMissing) as caught:
        load("toy")
    message = str(caught.value)
    assert "\n" not in message
    for said in ("toy is missing", str(cache), "no route", toy.data_set.archive):
        assert said in message
    for way in (toy.file.url, "PFC_METARL_DATA", "--data FOLDER"):
        assert way in message


@pytest.mark.parametrize("error", [ConnectionError, TimeoutError, KeyboardInterrupt])
def test_a_broken_download_leaves_nothing_and_a_later_one_works(
    toy, cache, monkeypatch, error
):
    serve(monkeypatch, toy.content[:100], then=error)
    with pytest.raises((DataMissing, KeyboardInterrupt)):
        load("toy")
    assert list(cache.iterdir()) == []
    serve(monkeypatch, toy.content)
    load("toy")
    assert toy.folders_read == [cache]


def test_a_download_of_something_else_is_thrown_away(toy, cache, monkeypatch):
    serve(monkeypatch, b"<html>Sign in</html>")
    with pytest.raises(DataMissing, match="what arrived has SHA-256"):
        load("toy")
    assert list(cache.iterdir()) == []
    assert toy.folders_read == []


def test_a_damaged_file_in_the_cache_is_fetched_anew(toy, cache, monkeypatch):
    path = toy.put(cache, b"damaged")
    serve(monkeypatch, toy.content)
    load("toy")
    assert path.read_bytes() == toy.content


def test_a_damaged_file_in_the_cache_is_not_opened_without_internet(toy, cache):
    toy.put(cache, b"damaged")
    with pytest.raises(DataMissing, match=r"no good toy\.bin"):
        load("toy")
    assert toy.folders_read == []


def test_a_cache_that_cannot_be_written_is_said_to_be_so(toy, cache, monkeypatch):
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("a file where the cache folder should be")
    with pytest.raises(DataMissing, match="Error"):
        load("toy")


@pytest.fixture
def server(toy, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """A web server on this machine that has the toy's file at /toy.bin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path in ("/toy.bin", "/half.bin")
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(toy.content) if known else 0))
            self.end_headers()
            whole = self.path == "/toy.bin"
            self.wfile.write(toy.content[: None if whole else 100] if known else b"")

        def log_message(self, *words):
            pass

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fetch_over_http)
    monkeypatch.setenv("NO_PROXY", "*")
    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def at(server: HTTPServer, path: str, toy):
    return replace(toy.file, url=f"http://127.0.0.1:{server.server_port}/{path}")


def test_a_web_server_s_file_arrives_whole(server, toy, cache, monkeypatch):
    files = (at(server, "toy.bin", toy),)
    monkeypatch.setitem(DATA_SETS, "toy", replace(toy.data_set, files=files))
    load("toy")
    assert (cache / "toy.bin").read_bytes() == toy.content


@pytest.mark.parametrize("path", ["half.bin", "absent.bin"])
def test_a_web_server_that_fails_leaves_nothing(server, toy, tmp_path, path):
    with pytest.raises((OSError, ValueError)):
        download(at(server, path, toy), tmp_path / "here" / "toy.bin")
    assert list((tmp_path / "here").iterdir()) == []


def test_a_server_that_never_answers_is_given_up(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fetch_over_http)
    monkeypatch.setattr("pfc_metarl.data.download.TIMEOUT_S", (0.2, 0.2))
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/toy.bin"
        with pytest.raises(OSError, match="timed out"):
            download(replace(toy.file, url=url), tmp_path / "toy.bin")
    assert list(tmp_path.iterdir()) == []


def test_progress_is_shown_on_a_terminal(server, toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    download(at(server, "toy.bin", toy), tmp_path / "toy.bin")
    assert "fetching toy.bin: 100%" in capsys.readouterr().err


def test_nothing_is_printed_where_there_is_no_terminal(server, toy, tmp_path, capsys):
    download(at(server, "toy.bin", toy), tmp_path / "toy.bin")
    assert capsys.readouterr() == ("", "")
