"""Where browsers are sent for objects: what a page's content security policy has to name."""

from urllib.parse import urlsplit


def of_endpoint(endpoint: str, bucket: str) -> tuple[str, ...]:
    """The two ways to address a bucket of another S3: by path, and by a host of its own."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}", f"{parts.scheme}://{bucket}.{parts.netloc}"


def of_aws(region: str, bucket: str) -> tuple[str, ...]:
    """AWS S3, regional and (as boto3 signs for some regions) global; a bucket with dots has no host of its own."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    hosts = (f"s3.{region}.{domain}", f"s3.{domain}")
    return tuple(f"https://{host}" if "." in bucket else f"https://{bucket}.{host}" for host in hosts)
