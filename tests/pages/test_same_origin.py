"""Built pages connect to their own origin, whatever port they were built with."""

from pathlib import Path

from rxconfig import SameOriginPlugin

BUILT = 'const a={PING:"http://localhost:3411/ping",EVENT:`ws://localhost:3411/_event`,OTHER:"https://example.com/x"};'


def test_built_in_port_is_replaced(tmp_path: Path) -> None:
    script = tmp_path / "assets" / "reflex-env-abc.js"
    script.parent.mkdir()
    script.write_text(BUILT)
    SameOriginPlugin().post_build(static_dir=tmp_path)
    assert script.read_text() == (
        "const a={PING:`${location.origin}/ping`,"
        "EVENT:`${location.origin.replace('http', 'ws')}/_event`,"
        'OTHER:"https://example.com/x"};'
    )


def test_other_scripts_are_unchanged(tmp_path: Path) -> None:
    script = tmp_path / "assets" / "entry.js"
    script.parent.mkdir()
    script.write_text(BUILT)
    SameOriginPlugin().post_build(static_dir=tmp_path)
    assert script.read_text() == BUILT
