"""What the environment names as proxy and certificates: used, or told by the variable's name."""

import os
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from hailuo_tasks_mcp.api.network import proxy_for, trusted_certificates
from hailuo_tasks_mcp.errors import NetworkConfigurationError

API = "https://api.test"
# The environment holds no NUL, and bytes that are not UTF-8 as lone surrogates.
VALUES = st.text(
    st.one_of(
        st.sampled_from("[]:@/%.?#-xn*,"),
        st.characters(codec="utf-8", exclude_characters="\0"),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]),
    ),
    max_size=40,
)


@given(
    st.sampled_from(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
    st.sampled_from(["", "http://", "https://", "socks5://", "http://[::1%", "http://xn--"]),
    VALUES,
    VALUES,
)
def test_whatever_is_set_as_a_proxy_is_used_or_told_by_the_name_of_its_variable(
    variable: str, start: str, text: str, no_proxy: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, f"{start}{text}planted-password")
        patch.setenv("NO_PROXY", no_proxy)
        try:
            proxy = proxy_for(API)
        except NetworkConfigurationError as error:
            failure = error.failure
        else:
            assert proxy is None or proxy.url.raw_host.isascii()
            return

    assert failure.message.startswith(f"{variable} names no proxy that can be used ")
    assert failure.details == {"variables": variable}
    assert "planted" not in failure.message


@pytest.mark.parametrize(
    "proxy",
    [
        "http://\udcffuser:pw@127.0.0.1:9",
        "http://127.0.0.1:9/\udcff",
        "http://[::1%ä]:9",
        "http://[::1%a b]:9",
        "http://xn--:9",
        "xn--",
    ],
)
def test_a_proxy_that_no_request_can_name_is_told(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)

    with pytest.raises(NetworkConfigurationError, match="HTTPS_PROXY names no proxy"):
        proxy_for(API)


def test_the_variable_in_lower_case_counts_before_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:x")

    with pytest.raises(NetworkConfigurationError, match="https_proxy names no proxy"):
        proxy_for(API)


@pytest.fixture
def paths(tmp_path: Path) -> Path:
    """Return a folder with what the variables of certificates may name by mistake."""
    (tmp_path / "empty").touch()
    (tmp_path / "garbage").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    trustme.CA().cert_pem.write_to_path(tmp_path / "folder" / "ca.pem")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


NOT_FOUND = "No such file or directory"
NO_CERTIFICATE = "no certificate or crl found"
NOT_HASHED = "it holds no certificate under a name that `openssl rehash` gives"


@pytest.mark.parametrize(
    ("variable", "name", "reason"),
    [
        ("SSL_CERT_FILE", "missing", NOT_FOUND),
        ("SSL_CERT_FILE", "\udcff", NOT_FOUND),
        ("SSL_CERT_FILE", "folder", "Is a directory"),
        ("SSL_CERT_FILE", "empty", NO_CERTIFICATE),
        ("SSL_CERT_FILE", "garbage", NO_CERTIFICATE),
        # Nothing writes to it: to read it would never end.
        ("SSL_CERT_FILE", "pipe", "it is a pipe"),
        ("SSL_CERT_DIR", "missing", NOT_FOUND),
        ("SSL_CERT_DIR", "empty", "Not a directory"),
        ("SSL_CERT_DIR", "folder", NOT_HASHED),
        ("SSLKEYLOGFILE", "missing/log", NOT_FOUND),
        ("SSLKEYLOGFILE", "folder", "Is a directory"),
        ("SSLKEYLOGFILE", "pipe", "it is a pipe"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_the_name_of_its_variable(
    variable: str, name: str, reason: str, paths: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(paths / name))

    with pytest.raises(NetworkConfigurationError) as caught:
        trusted_certificates()

    assert caught.value.failure.message == f"{variable} cannot be used ({reason})"
    assert caught.value.failure.details == {"variables": variable}


def test_a_bad_key_log_is_not_blamed_on_good_certificates(
    paths: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(paths / "folder" / "ca.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(paths / "folder"))

    with pytest.raises(NetworkConfigurationError, match="SSLKEYLOGFILE cannot be used"):
        trusted_certificates()


def test_of_several_folders_one_with_certificates_is_enough(
    paths: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (paths / "folder" / "ca.pem").rename(paths / "folder" / "0123abcd.0")
    folders = (paths / "missing", paths / "folder")
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(map(str, folders)))
    monkeypatch.setenv("SSLKEYLOGFILE", str(paths / "keys"))

    certificates = trusted_certificates()

    assert certificates.keylog_filename == str(paths / "keys")
