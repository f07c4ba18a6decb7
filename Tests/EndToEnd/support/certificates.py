"""Certificates of a test's own, made with openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """An authority and what it signs."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.name = name
        self.certificate = directory / f"{name}.crt"
        self._key = directory / f"{name}.key"
        self._openssl(
            "req", "-x509", *self._new_key(), "-keyout", self._key, "-out", self.certificate, "-days", "30",
            "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
        )

    def sign(self, name: str, days: int = 30) -> tuple[Path, Path]:
        """A certificate for both ends of a connection to 127.0.0.1, and its key. With -1 day it has expired."""
        certificate, key, request = (self.directory / f"{self.name}-{name}.{end}" for end in ("crt", "key", "csr"))
        extensions = self.directory / "extensions"
        extensions.write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl("req", *self._new_key(), "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-days", str(days), "-extfile", extensions, "-out", certificate,
        )
        return certificate, key

    @staticmethod
    def _new_key() -> list[str]:
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    @staticmethod
    def _openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
