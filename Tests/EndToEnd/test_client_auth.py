"""R10: the gateway shows a provider who it is without a shared secret: with keys, assertions of others, certificates.

The provider is idpyoidc, which checks signatures, audiences and one-time use with code that is not ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from support.api import API
from support.certificates import Authority
from support.gateway import Gateway, run_program
from support.idpy import IS_INSTALLED, IdpyProvider
from support.jwt import sign
from support.login import begin_login, finish_login, log_in
from support.ports import free_port
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="idpyoidc can't be installed on this Python")


def new_client_key(directory: Path, name: str = "client-key.pem", algorithm: str = "ES256") -> tuple[Path, dict]:
    """A key as the program makes it, and its public half."""
    file = directory / name
    result = run_program(
        directory, "keys", "generate", "--client", "--algorithm", algorithm, "--output", str(file))
    assert result.returncode == 0, result.stderr
    jwk, = json.loads(result.stdout)["keys"]
    return file, jwk


def site(
    servers: Servers, directory: Path, gateway_settings: dict[str, str | None], **options: object
) -> tuple[Gateway, IdpyProvider]:
    """A gateway with sessions in memory, and its provider."""
    port = free_port()
    url = f"http://localhost:{port}"
    options.setdefault("client_jwks_uri", url + "/auth/jwks.json")
    provider = servers.add(IdpyProvider(directory / "provider", url, **options)).launch()
    settings = {"REDIS_ENABLED": "false", **provider.settings, **gateway_settings}
    return servers.add(Gateway(directory / "gateway", port=port, **settings)).launch_ready(), provider


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_r10_private_key_jwt_par_and_signed_userinfo(servers: Servers, tmp_path: Path, algorithm: str) -> None:
    """R10: what is signed here is accepted by idpyoidc, which fetched the public keys from the gateway."""
    key, jwk = new_client_key(tmp_path, algorithm=algorithm)
    api = servers.enter_context(API())
    gateway, provider = site(
        servers, tmp_path, {"OIDC_CLIENT_KEY_FILE": str(key), "UPSTREAM_URL": api.url, "LOG_LEVEL": "trace"},
        require_par=True, signed_userinfo="ES256", access_token_lifetime=32,
    )
    published = gateway.get("/auth/jwks.json")
    assert published.status_code == 200 and published.json() == {"keys": [jwk]}
    assert not {"d", "p", "q", "k"} & set(jwk) and jwk["alg"] == algorithm
    assert "max-age" in published.headers["Cache-Control"]

    http = requests.Session()
    start = begin_login(http, gateway.url)
    query = parse_qs(urlsplit(start.headers["Location"]).query)
    assert set(query) == {"client_id", "request_uri"}, "all else went to the provider itself"
    callback = provider.sign_in(http, start.headers["Location"])
    assert finish_login(http, callback).is_redirect
    user = http.get(gateway.url + "/auth/me", timeout=30).json()
    assert (user["name"], user["email"]) == ("Alice Test", "alice@example.test")

    # Its access token lives for 32 s, of which the last 30 count as over: the next call refreshes.
    def refreshed() -> bool:
        assert http.get(gateway.url + "/api/x", headers={"X-CSRF": "1"}, timeout=30).status_code == 200
        return any(entry["grant_type"] == "refresh_token" for entry in provider.requests)

    eventually("a refresh", refreshed, within=20, details=gateway.log_tail)
    asked = provider.requests
    assert [entry["path"] for entry in asked[:2]] == ["/par", "/token"]
    for entry in asked:
        assert entry["authorization"] == "" and "client_secret" not in entry["parameters"]
        assertion = entry["assertion"]
        assert assertion["header"] == {"alg": algorithm, "typ": "JWT", "kid": jwk["kid"]}
        assert assertion["claims"]["aud"] == provider.issuer + "/token"
        assert assertion["claims"]["iss"] == assertion["claims"]["sub"] == provider.client_id
        assert assertion["claims"]["exp"] - assertion["claims"]["iat"] == 60
    ids = [entry["assertion"]["claims"]["jti"] for entry in asked]
    assert len(ids) == len(set(ids))
    # R46
    log = gateway.log()
    assert "eyJ" not in log and "PRIVATE" not in log and query["request_uri"][0] not in log


def test_r54_keys_are_rotated_while_users_log_in(servers: Servers, tmp_path: Path) -> None:
    """R54: old and new key both published, the first one signs; a bad file leaves the old in force."""
    old, old_jwk = new_client_key(tmp_path, "old.pem", "RS256")
    new, new_jwk = new_client_key(tmp_path, "new.pem", "EdDSA")
    key = tmp_path / "key.pem"

    def write(*parts: str) -> None:
        draft = tmp_path / "draft"
        draft.write_text("".join(parts))
        draft.rename(key)

    def published() -> list[str]:
        return [jwk["kid"] for jwk in gateway.get("/auth/jwks.json").json()["keys"]]

    def signer() -> str:
        log_in(requests.Session(), gateway.url, provider)  # type: ignore[arg-type]
        return provider.requests[-1]["assertion"]["header"]["kid"]

    write(old.read_text())
    gateway, provider = site(servers, tmp_path, {"OIDC_CLIENT_KEY_FILE": str(key)})
    assert signer() == old_jwk["kid"]
    for parts, order in [
        ((old, new), [old_jwk, new_jwk]), ((new, old), [new_jwk, old_jwk]), ((new,), [new_jwk]),
    ]:
        write(*(part.read_text() for part in parts))
        kids = [jwk["kid"] for jwk in order]
        eventually("the keys are read again", lambda: published() == kids, within=20, details=gateway.log_tail)
        assert signer() == kids[0]
    write("nonsense")
    eventually("it is reported", lambda: "could not be read again" in gateway.log(), 20, gateway.log_tail)
    assert published() == [new_jwk["kid"]] and signer() == new_jwk["kid"]


def test_r54_a_client_secret_in_a_file_is_read_again(servers: Servers, tmp_path: Path) -> None:
    """R54: the secret is changed at the provider and in the file; no restart."""
    secret = tmp_path / "secret"
    secret.write_text("wrong-at-first\n")
    gateway, provider = site(
        servers, tmp_path, {"OIDC_CLIENT_SECRET": None, "OIDC_CLIENT_SECRET_FILE": str(secret), "OIDC_PAR": "off"},
        client_secret="the-secret-of-this-test",
    )

    def logs_in() -> bool:
        http = requests.Session()
        start = begin_login(http, gateway.url)
        return finish_login(http, provider.sign_in(http, start.headers["Location"])).is_redirect

    assert not logs_in()
    secret.write_text("the-secret-of-this-test\n")
    eventually("a login with the new secret", logs_in, within=20, details=gateway.log_tail)


def test_an_assertion_in_a_file_is_read_again_and_an_old_one_is_told_of(servers: Servers, tmp_path: Path) -> None:
    """R10, R54: as Kubernetes projects tokens, by turning a link; the provider checks what the file holds."""
    key, jwk = new_client_key(tmp_path, algorithm="ES256")
    volume = tmp_path / "volume"
    volume.mkdir()

    port = free_port()
    url = f"http://localhost:{port}"
    provider = servers.add(
        IdpyProvider(tmp_path / "provider", url, client_jwks={"keys": [jwk]})
    ).launch()

    def project(name: str, lifetime: int) -> str:
        """A new token, as the kubelet puts it there."""
        now = int(time.time())
        token = sign(key, jwk["kid"], {
            "iss": provider.client_id, "sub": provider.client_id, "aud": provider.issuer + "/token", "jti": name,
            "iat": now, "exp": now + lifetime,
        })
        (volume / name).mkdir()
        (volume / name / "token").write_text(token)
        (volume / "..new").symlink_to(name)
        (volume / "..new").rename(volume / "..data")
        return token

    project("first", 3600)
    (volume / "token").symlink_to("..data/token")
    gateway = servers.add(
        Gateway(
            tmp_path / "gateway", port=port, REDIS_ENABLED="false", OIDC_PAR="off",
            OIDC_CLIENT_ASSERTION_FILE=str(volume / "token"), **provider.settings,
        )
    ).launch_ready()
    log_in(requests.Session(), gateway.url, provider)  # type: ignore[arg-type]
    assert provider.requests[-1]["assertion"]["claims"]["jti"] == "first"
    assert gateway.get("/auth/jwks.json").json() == {"keys": []}

    # idpyoidc takes each assertion once: the next login works with the next token alone.
    count = gateway.log().count("was read again")
    project("second", 3600)
    eventually("the token is read", lambda: gateway.log().count("was read again") > count, 20, gateway.log_tail)
    log_in(requests.Session(), gateway.url, provider)  # type: ignore[arg-type]
    assert provider.requests[-1]["assertion"]["claims"]["jti"] == "second"

    count, asked = gateway.log().count("was read again"), len(provider.requests)
    project("ended", -1)
    eventually("the token is read", lambda: gateway.log().count("was read again") > count, 20, gateway.log_tail)
    http = requests.Session()
    answer = finish_login(http, provider.sign_in(http, begin_login(http, gateway.url).headers["Location"]))
    assert answer.status_code == 502
    eventually("it is in the log", lambda: "the client assertion has expired" in gateway.log(), 10, gateway.log_tail)
    assert len(provider.requests) == asked, "it was not sent"


def test_r10_mutual_tls(servers: Servers, tmp_path: Path) -> None:
    """R10: RFC 8705: the certificate is the client's proof, at the addresses that ask for one; a new one counts at once."""
    authority = Authority(tmp_path / "ca", "provider-ca")
    clients = Authority(tmp_path / "clients", "client-ca")
    server = authority.sign("server")
    good, bad = clients.sign("cloakroom-client"), clients.sign("someone-else")
    certificate, key = tmp_path / "client.crt", tmp_path / "client.key"

    def use(pair: tuple[Path, Path]) -> None:
        certificate.write_bytes(pair[0].read_bytes())
        key.write_bytes(pair[1].read_bytes())

    use(good)
    gateway, provider = site(
        servers, tmp_path,
        {
            "OIDC_CA_FILE": str(authority.certificate), "OIDC_CLIENT_CERT_FILE": str(certificate),
            "OIDC_CLIENT_CERT_KEY_FILE": str(key),
        },
        authority=authority.certificate, mtls="cloakroom-client", client_jwks_uri=None,
        tls={
            "certificate": str(server[0]), "key": str(server[1]), "client_authority": str(clients.certificate),
        },
    )
    http = requests.Session()
    log_in(http, gateway.url, provider)  # type: ignore[arg-type]
    assert http.get(gateway.url + "/auth/me", timeout=30).json()["name"] == "Alice Test"
    asked = provider.requests
    assert [entry["path"] for entry in asked] == ["/mtls/par", "/mtls/token"]
    for entry in asked:
        assert entry["certificate"] == "cloakroom-client" and entry["authorization"] == ""
        assert entry["client_id"] == provider.client_id
        assert not {"client_secret", "client_assertion"} & set(entry["parameters"])

    count = gateway.log().count("was read again")
    use(bad)
    eventually("it is read", lambda: gateway.log().count("was read again") > count, 20, gateway.log_tail)
    answer = requests.get(gateway.url + "/auth/login", allow_redirects=False, timeout=30)
    assert answer.status_code == 502
    assert provider.requests[-1]["certificate"] == "someone-else"
    eventually("it is in the log", lambda: "401 with invalid_client" in gateway.log(), 10, gateway.log_tail)

    # Without the provider's authority it is not trusted, and who is logged in stays so.
    stranger = servers.add(
        Gateway(
            tmp_path / "stranger", "stranger", REDIS_ENABLED="false", OIDC_CLIENT_CERT_FILE=str(certificate),
            OIDC_CLIENT_CERT_KEY_FILE=str(key), **provider.settings,
        )
    ).launch()
    answer = requests.get(stranger.url + "/auth/login", allow_redirects=False, timeout=30)
    assert answer.status_code == 503
    eventually("it is in the log", lambda: "not signed by an authority that is trusted" in stranger.log(), 10, stranger.log_tail)


def test_a_certificate_names_the_key_that_signs(servers: Servers, tmp_path: Path) -> None:
    """`x5t#S256`, by which some providers find the key; with keys that openssl has made."""
    clients = Authority(tmp_path / "clients", "client-ca")
    certificate, key = clients.sign("cloakroom-client")
    der = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-outform", "DER"], check=True, capture_output=True).stdout
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    gateway, provider = site(
        servers, tmp_path, {"OIDC_CLIENT_KEY_FILE": str(key), "OIDC_CLIENT_CERT_FILE": str(certificate)})
    log_in(requests.Session(), gateway.url, provider)  # type: ignore[arg-type]
    header = provider.requests[-1]["assertion"]["header"]
    assert header["x5t#S256"] == thumbprint and header["alg"] == "ES256"


def test_keys_of_openssl_in_every_form(tmp_path: Path) -> None:
    """PKCS #8, SEC 1 with its parameters, PKCS #1: what people have is taken, and the rest is refused in one line."""
    def openssl(*arguments: str) -> str:
        return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout

    rsa = tmp_path / "rsa"
    rsa.write_text(openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"))
    good = [
        rsa.read_text(), openssl("rsa", "-in", str(rsa), "-traditional"),
        openssl("ecparam", "-name", "prime256v1", "-genkey"), openssl("genpkey", "-algorithm", "ed25519"),
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    ]
    bad = [
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"),
        openssl("genpkey", "-algorithm", "x25519"), openssl("genpkey", "-algorithm", "ed448"),
        openssl("rsa", "-in", str(rsa), "-aes256", "-passout", "pass:hunter2"), openssl("rsa", "-in", str(rsa), "-pubout"),
    ]
    file = tmp_path / "key.pem"
    for number, text in enumerate(good + bad):
        file.write_text(text)
        result = run_program(
            tmp_path, "check", "--json", REDIS_ENABLED="false", OIDC_CLIENT_SECRET=None,
            OIDC_CLIENT_KEY_FILE=str(file), PUBLIC_URL=f"http://localhost:{free_port()}",
        )
        lines = {line["name"]: line for line in json.loads(result.stdout)["checks"] if line["part"] == "settings"}
        if number < len(good):
            assert lines["all"]["status"] == "ok", text[:40]
        else:
            assert lines["OIDC_CLIENT_KEY_FILE"]["status"] == "fail", text[:40]
            assert "private key" in lines["OIDC_CLIENT_KEY_FILE"]["detail"]


def test_generated_keys_are_written_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    file, jwk = new_client_key(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    again = run_program(tmp_path, "keys", "generate", "--client", "--output", str(file))
    assert again.returncode == 1 and "is there already" in again.stderr and len(again.stderr.splitlines()) == 1
    assert file.read_bytes() == before
    assert run_program(tmp_path, "keys", "generate", "--client", "--output", "/no/such/place").returncode == 1
    assert run_program(tmp_path, "keys", "generate", "--algorithm", "RS256").returncode == 64
    assert run_program(tmp_path, "keys", "generate", "--client", "--algorithm", "HS256").returncode == 64

    shown = run_program(tmp_path, "keys", "generate", "--client")
    assert shown.stdout.startswith("Algorithm: RS256\n-----BEGIN PRIVATE KEY-----\n")
    assert shown.stdout.endswith("-----END PRIVATE KEY-----\n")
    report = json.loads(run_program(tmp_path, "keys", "generate", "--client", "--json", "--algorithm", "es256").stdout)
    assert report.keys() == {"algorithm", "key_id", "jwks", "private_key"}
    assert report["jwks"]["keys"][0]["kid"] == report["key_id"] and report["algorithm"] == "ES256"
    other = tmp_path / "other.pem"
    report = json.loads(
        run_program(tmp_path, "keys", "generate", "--client", "--json", "--output", str(other)).stdout)
    assert report["file"] == str(other) and "private_key" not in report and os.access(other, os.R_OK)


def test_check_tells_what_a_provider_says_of_the_key(servers: Servers, tmp_path: Path) -> None:
    key, _ = new_client_key(tmp_path)
    gateway, provider = site(servers, tmp_path, {"OIDC_CLIENT_KEY_FILE": str(key)}, require_par=True)

    def lines(**changes: str | None) -> dict[str, dict]:
        settings = {**provider.settings, "OIDC_CLIENT_KEY_FILE": str(key), **changes}
        result = run_program(
            tmp_path, "check", "--json", "--security", REDIS_ENABLED="false", PUBLIC_URL=gateway.url, **settings)
        checks = json.loads(result.stdout)["checks"]
        found = {line["name"]: line for line in checks if line["part"] == "identity-provider"}
        found["security"], = (line for line in checks if line["name"] == "client-secret")
        return found

    good = lines()
    assert {name: good[name]["status"] for name in ("discovery", "keys", "client", "redirect-uri")} == dict.fromkeys(
        ("discovery", "keys", "client", "redirect-uri"), "ok"), good
    assert good["security"]["status"] == "ok" and "private_key_jwt" in good["security"]["detail"]
    stranger, _ = new_client_key(tmp_path, "stranger.pem")
    bad = lines(OIDC_CLIENT_KEY_FILE=str(stranger))
    assert bad["client"]["status"] == "fail" and "/auth/jwks.json" in bad["client"]["remedy"]
    off = lines(OIDC_PAR="off")
    assert "OIDC_PAR is off" in off["redirect-uri"]["detail"]
