"""Downloads behind a proxy, or with certificates of a house of its own."""

from __future__ import annotations

from deploy.local import reaching_out


def test_proxies_certificates_and_registries_reach_the_clients_and_nothing_else_does() -> None:
    wanted = {
        "HTTPS_PROXY": "http://proxy:3128",
        "no_proxy": "localhost",
        "GOPROXY": "https://go.example",
        "SSL_CERT_FILE": "/etc/ssl/own.pem",
        "NODE_EXTRA_CA_CERTS": "/etc/ssl/own.pem",
        "npm_config_registry": "https://npm.example",
    }
    assert reaching_out.environment({**wanted, "AWS_SECRET_ACCESS_KEY": "x", "HOME": "/home/me"}) == wanted
