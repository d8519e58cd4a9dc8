"""What was learned of the store, in sentences for the System page."""

from collections.abc import Iterator

from videovault.gateways.capabilities import Call, Capabilities, Feature, Sums

ALLOW_VERSIONS = (
    "Allow s3:ListBucketVersions on the bucket and s3:DeleteObjectVersion on its objects. What an Object Lock keeps goes "
    "only after its time: let a lifecycle rule delete noncurrent versions then."
)


def in_words(known: Capabilities) -> Iterator[str]:
    """One sentence for each thing that matters to videos."""
    yield _checksums(known)
    yield _feature(
        known,
        Feature.METADATA,
        "Metadata: kept.",
        "Metadata: not kept, so a file that was put in the place of a video is told by size and checksum only",
    )
    yield _feature(
        known,
        Feature.TAGGING,
        "Copying: a stored video can be tagged again.",
        "Copying: refused, so a video keeps its first tag when its key is replaced",
    )
    yield _feature(
        known,
        Feature.LIST_UPLOADS,
        "Unfinished uploads: listed.",
        "Unfinished uploads: not listed, so a lifecycle rule should abort those that crashes leave",
    )
    yield _versions(known)


def _checksums(known: Capabilities) -> str:
    weaker = [call for call in Call if known.sums(call) is not Sums.CRC32]
    if not weaker:
        return "Checksums: CRC-32 with every call."
    kinds = [_with(known, sums) for sums in (Sums.MD5, Sums.NONE)]
    kinds += ["CRC-32 with all other calls"] if len(weaker) < len(Call) else []
    reasons = [fact.why for call in weaker if (fact := known.fact(call)) and fact.why]
    said = f" The S3 said: {reasons[0]}" if reasons else ""
    return f"Checksums: {'; '.join(filter(None, kinds))}.{said}"


def _with(known: Capabilities, sums: Sums) -> str:
    calls = [str(call) for call in Call if known.sums(call) is sums]
    return f"{sums} with {', '.join(calls)}" if calls else ""


def _feature(known: Capabilities, feature: Feature, can: str, cannot: str) -> str:
    if known.can(feature):
        return can
    fact = known.fact(feature)
    return f"{cannot} ({fact.why})." if fact and fact.why else f"{cannot}."


def _versions(known: Capabilities) -> str:
    if not known.can(Feature.VERSIONED):
        return "Versions: the bucket keeps none."
    kept = "Versions: kept, and deleted with their video."
    return _feature(known, Feature.DELETE_VERSIONS, kept, "Versions: kept, and not to be deleted")
