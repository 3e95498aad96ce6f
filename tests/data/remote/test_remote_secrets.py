"""Passwords and tokens in URLs: refused where a URL comes in, never shown, never written."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from uniter_data import PairDataset, RegionStore, Split, Tokenizer, info, verify, write_dataset
from uniter_data.examples import ExampleDataset, read_task_manifest
from uniter_data.stores.locations import exists, locate
from uniter_data.stores.redaction import redact
from uniter_data.stores.sources import open_source

SECRET = "hunter2"
URLS = [
    f"https://me:{SECRET}@host/data",
    f"https://{SECRET}@host/data",
    f"s3://key:{SECRET}@bucket/data",
    f"ftp://me:{SECRET}@host/data",
    f"https://host/data?X-Amz-Signature={SECRET}",
    f"http://host/data/?token={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "use",
    [
        locate,
        open_source,
        RegionStore,
        verify,
        info,
        lambda url: PairDataset.open(url, "train"),
        lambda url: ExampleDataset.open(url, "train"),
        read_task_manifest,
    ],
)
def test_a_url_with_credentials_is_refused_without_showing_them(
    url: str, use: Callable[[str], object], refused: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match="must hold no user, password or query") as error:
        use(url)
    assert "***" in str(error.value)
    assert SECRET not in str(error.value)


def test_a_url_without_them_is_not() -> None:
    for url in ("https://host:8000/data", "s3://bucket/a@b?c", "sftp://me@host/data", "memory://a"):
        assert locate(url) == url
    assert not exists("memory://nothing")


@pytest.mark.parametrize("url", URLS)
def test_messages_show_nothing_of_them(url: str) -> None:
    said = redact(f"403, message='Forbidden', url='{url}' (see {url}), again {url}")
    assert SECRET not in said
    assert said.count("***") == 3


@pytest.mark.parametrize("place", ["texts", "regions", "pictures", "source"])
def test_a_manifest_takes_none(place: str, small_dataset: Path, tmp_path: Path) -> None:
    stores = {"texts": str(small_dataset / "train" / "texts.zarr"), "regions": "regions.zarr", "pictures": ""}
    stores = {name: URLS[0] if name == place else store for name, store in stores.items()}
    with pytest.raises(ValueError) as error:
        write_dataset(
            tmp_path / "data",
            name="a",
            splits={"train": Split(**stores)},
            tokenizer=Tokenizer.from_file(small_dataset / "tokenizer.json"),
            source=URLS[0] if place == "source" else "",
        )
    assert SECRET not in str(error.value)
    assert not (tmp_path / "data" / "dataset.json").exists()


def test_a_password_is_read_from_netrc(tmp_path: Path, range_server: type, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").write_bytes(b"what it protects")
    login = f"Basic {b64encode(f'me:{SECRET}'.encode()).decode()}"
    with range_server(
        tmp_path, fault=lambda handler: handler.headers.get("Authorization") != login and handler.fail(401)
    ) as site:
        with pytest.raises(PermissionError, match=f"{site.url}/data may not be read"):
            open_source(site.url).size("data")
        (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        assert bytes(open_source(site.url).read("data", [(0, 4)])[0]) == b"what"
