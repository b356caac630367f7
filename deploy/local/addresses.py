"""From a stack's settings to the endpoints that its users are told."""

from __future__ import annotations

from deploy.local import endpoints as contract
from deploy.local.converter import CLASS_NAME
from deploy.local.converter import settings as converter_settings
from deploy.local.parts.azure import ACCOUNT
from deploy.local.parts.gcs import PROJECT
from deploy.local.parts.postgres import USER, server_bin
from deploy.local.parts.s3 import REGION
from deploy.local.settings import HOST, Settings


def endpoints_of(settings: Settings) -> contract.Endpoints:
    """Return where the parts of a stack with these settings answer, whether they are up or not."""
    ports = settings.ports
    registry = f"http://{HOST}:{ports['registry']}"
    native = f"{registry}/apis/registry/v2"
    password = settings.postgres_password
    return contract.Endpoints(
        postgres=contract.Postgres(
            host=HOST,
            port=ports["postgres"],
            user=USER,
            password=password,
            dsn=f"postgresql://{USER}:{password}@{HOST}:{ports['postgres']}/postgres",
            bin=str(server_bin()),
        ),
        kafka=contract.Kafka(f"{HOST}:{ports['kafka']}"),
        connect=contract.Connect(f"http://{HOST}:{ports['connect']}"),
        registry=contract.Registry(url=f"{registry}/apis/ccompat/v7", native_url=native),
        s3=contract.S3(
            f"http://{HOST}:{ports['s3']}", settings.s3_access_key, settings.s3_secret_key, REGION
        ),
        s3_moto=contract.S3(f"http://{HOST}:{ports['s3_moto']}", "moto", "moto", REGION),
        azure=contract.Azure(f"http://{HOST}:{ports['azure']}/{ACCOUNT}", ACCOUNT, settings.azure_key),
        gcs=contract.Gcs(f"http://{HOST}:{ports['gcs']}", PROJECT),
        converter=contract.Converter(CLASS_NAME, converter_settings(native), exact_values=True),
    )
