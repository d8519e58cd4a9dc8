"""The S3 client: of botocore's data it keeps what S3 and credentials need."""

from pathlib import Path

import boto3
import botocore
import pytest

from tests.support.installation import Configure
from videovault.gateways import s3_client


@pytest.mark.parametrize("region", ["eu-central-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"])
def test_addresses_are_those_of_botocores_whole_data(configure: Configure, region: str) -> None:
    configure(AWS_REGION=region)
    client = s3_client.create_client("", "key", "secret")
    usual = boto3.client("s3", region_name=region, aws_access_key_id="key", aws_secret_access_key="secret")
    assert client.meta.endpoint_url == usual.meta.endpoint_url


def test_addresses_of_services_that_are_not_called_are_dropped() -> None:
    """They would take 7 MB in each process."""
    endpoints = s3_client._SmallerFiles().load_file(f"{botocore_data()}/endpoints")
    services = {name for partition in endpoints["partitions"] for name in partition["services"]}
    assert services == set(s3_client.USED_SERVICES)


def botocore_data() -> str:
    return str(Path(botocore.__file__).parent / "data")
