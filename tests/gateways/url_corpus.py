"""URLs that must never be fetched. PORT stands for that of a listener on loopback that must stay untouched."""

SCHEMES = [
    "",
    "ftp://example.com/v.mp4",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_GET",
    "dict://127.0.0.1:PORT/",
    "ws://127.0.0.1:PORT/",
    "jar:http://127.0.0.1:PORT/!/",
    "data:video/mp4;base64,AAAA",
    "javascript:alert(1)",
    "//127.0.0.1:PORT/v.mp4",
    "example.com/v.mp4",
    "http:127.0.0.1:PORT",
    "http:/127.0.0.1:PORT/",
    "http:///127.0.0.1:PORT/",
    "https://",
    "http://?127.0.0.1:PORT",
    "http://#127.0.0.1:PORT",
    "http://:PORT/",
]
USERINFO = [
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://@127.0.0.1:PORT/",
    "http://example.com@127.0.0.1:PORT/",
    "http://example.com:80@127.0.0.1:PORT/",
    "http://a@b@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT@example.com/",
    "http://example.com%40127.0.0.1:PORT/",
]
LOOPBACK = [
    "http://127.0.0.1:PORT/v.mp4",
    "https://127.0.0.1:PORT/v.mp4",
    "http://127.0.0.2:PORT/",
    "http://127.255.255.254:PORT/",
    "http://localhost:PORT/",
    "http://LocalHost:PORT/",
    "http://localhost.:PORT/",
    "http://sub.localhost:PORT/",
    "http://localhost.localdomain:PORT/",
    "http://ip6-localhost:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://[::]:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
]
NUMBERS = [
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://0X7F.0.0.1:PORT/",
    "http://0x7f.0x0.0x0.0x1:PORT/",
    "http://127.0x0.0.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://017700000001:PORT/",
    "http://127.0.0.01:PORT/",
    "http://00127.0.0.1:PORT/",
    "http://127.0.0.1.0:PORT/",
    "http://6425673729:PORT/",
    "http://0x/",
    "http://256.256.256.256/",
    "http://1.2.3.4.5/",
    "http://example.123/",
    "http://example.0x1f/",
]
ENCODED = [
    "http://127%2e0%2e0%2e1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:PORT/",
    "http://127.0.0.1%00.example.com:PORT/",
    "http://127.0.0.1%2f.example.com:PORT/",
    "http://127.0.0.1%23.example.com:PORT/",
]
LOOKALIKES = [
    "http://\uff11\uff12\uff17.0.0.1:PORT/",  # full-width digits
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:PORT/",  # circled digits
    "http://127\u30020\u30020\u30021:PORT/",  # ideographic full stops
    "http://127\uff0e0\uff0e0\uff0e1:PORT/",  # full-width full stops
    "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:PORT/",  # circled letters
    "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54:PORT/",  # full-width letters
    "http://loca\u017fhost.example/",  # long s
    "http://\u212aubernetes.example/",  # Kelvin sign
    "http://loc\u00adalhost:PORT/",  # soft hyphen
    "http://local\u200bhost:PORT/",  # zero-width space
    "http://xn--:PORT/",
    "http://xn--a.example/",
    "http://xn--0000000000000.example/",
    "http://\u0661\u0662\u0667.0.0.1:PORT/",  # Arabic-Indic digits
]
IPV6 = [
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:7f00:0001]:PORT/",
    "http://[::127.0.0.1]:PORT/",  # IPv4-compatible
    "http://[::ffff:0:127.0.0.1]:PORT/",  # IPv4-translated
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::127.0.0.1]:PORT/",  # NAT64
    "http://[64:ff9b::8.8.8.8]/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",  # 6to4
    "http://[2002:808:808::]/",
    "http://[2001:0:7f00:1::1]:PORT/",  # Teredo
    "http://[2001:2::1]/",  # benchmarking
    "http://[2001:10::1]/",  # ORCHID
    "http://[2001:20::1]/",  # ORCHIDv2
    "http://[2001:db8::1]/",  # documentation
    "http://[3fff::1]/",
    "http://[100::1]/",  # discard
    "http://[5f00::1]/",  # segment routing
    "http://[fe80::1]/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[fe80::1%lo]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://[2606:4700::1111%25lo]/",
    "http://[fec0::1]/",  # site-local
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",  # AWS metadata
    "http://[ff02::1]/",
    "http://[v1.x]/",
    "http://[]/",
    "http://[::1/",
    "http://::1]:PORT/",
    "http://[127.0.0.1]:PORT/",
    "http://[::1]x:PORT/",
    "http://x[::1]:PORT/",
]
IPV4 = [
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",  # Alibaba metadata
    "http://168.63.129.16/",  # Azure metadata
    "http://192.0.0.192/",  # Oracle metadata
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
]
LOCAL_NAMES = [
    "http://intranet/",
    "http://minio:9000/",
    "http://printer.local/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://nas.home.arpa/",
    "http://hidden.onion/",
    "http://example.com./",
    "http://.example.com/",
    "http://example..com/",
    "http://./",
    f"http://{'a' * 64}.example/",
    f"http://{'a.' * 127}example/",
]
CHARACTERS = [
    " http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/\n",
    "http://exam ple.com/",
    "http:\\\\127.0.0.1:PORT\\",
    "\\\\127.0.0.1:PORT\\v.mp4",
    "http://127.0.0.1:PORT\\@example.com/",
    "http:\\/127.0.0.1:PORT/",
    "h\nttp://127.0.0.1:PORT/",
    "http:/\t/127.0.0.1:PORT/",
    "http://127.0.0\t.1:PORT/",
    "http://local\nhost:PORT/",
    "http://127.0.0.1:PORT\r\nHost: example.com/",
    "http://example.com/\x00",
    "http://example.com/\x7f",
    "http://exam\x00ple.com/",
    "http://example.com\u202e/",
    "\ufeffhttp://example.com/",
    "http://example.com/\ud800",
    "http://exa<mple>.com/",
    "http://exa|mple.com/",
    f"http://example.com/{'a' * 17_000}",
]
PORTS = [
    "http://93.184.216.34:22/",
    "http://93.184.216.34:25/",
    "https://93.184.216.34:465/",
    "http://93.184.216.34:0/",
    "http://93.184.216.34:65536/",
    "http://93.184.216.34:99999/",
    "http://93.184.216.34:111111111111111111111111/",
    "http://93.184.216.34:-1/",
    "http://93.184.216.34:http/",
    "http://93.184.216.34:\uff18\uff10/",
    "http://93.184.216.34:80:80/",
    "http://93.184.216.34:+80/",
]

REFUSED = [
    *SCHEMES,
    *USERINFO,
    *LOOPBACK,
    *NUMBERS,
    *ENCODED,
    *LOOKALIKES,
    *IPV6,
    *IPV4,
    *LOCAL_NAMES,
    *CHARACTERS,
    *PORTS,
]

# What browsers make of an address, and so do we; the second is what is asked for.
NORMALISED = [
    ("http://example.com/a b.mp4?c d", "http://example.com/a%20b.mp4?c%20d"),
    (" \thttp://example.com/v.mp4\r\n ", "http://example.com/v.mp4"),
    ("http://exam\nple.com\t/a\r\nb.mp4", "http://example.com/ab.mp4"),
    ("http://example.com\\a\\b.mp4?c\\d", "http://example.com/a/b.mp4?c\\d"),
    ("http://example.com\\@127.0.0.1:80/", "http://example.com/@127.0.0.1:80/"),
    ("http://example.com/..\\..\\v.mp4", "http://example.com/v.mp4"),
    ("http:example.com/v.mp4", "http://example.com/v.mp4"),
    ("https:\\//example.com/v.mp4", "https://example.com/v.mp4"),
    ("http://example.com/a/./b/../c.mp4", "http://example.com/a/c.mp4"),
    ("http://example.com/a/%2E%2e/%2e/c.mp4", "http://example.com/c.mp4"),
    ("http://example.com/a/..", "http://example.com/"),
    ("http://example.com/a//b/", "http://example.com/a//b/"),
    ("http://example.com/?a=../b", "http://example.com/?a=../b"),
    ('http://example.com/"^`{}<>|', "http://example.com/%22%5E%60%7B%7D%3C%3E|"),
    ("http://example.com/?\"'<>^`{}|", "http://example.com/?%22%27%3C%3E^`{}|"),
    ("http://example.com/%7e%zz%", "http://example.com/%7e%zz%"),
    ("http://example.com/caf\u00e9.mp4", "http://example.com/caf%C3%A9.mp4"),
    ("http://example.com/cafe\u0301.mp4", "http://example.com/cafe%CC%81.mp4"),
    ("http://example.com/10.15\u202fAM.mp4", "http://example.com/10.15%E2%80%AFAM.mp4"),
    ("http://example.com/\u202e4pm.exe", "http://example.com/%E2%80%AE4pm.exe"),
    ("http://example.com/\uff0f..\uff0f", "http://example.com/%EF%BC%8F..%EF%BC%8F"),
    ("http://example.com/v.mp4#a?b/c", "http://example.com/v.mp4"),
    ("http://example.com#@127.0.0.1/", "http://example.com/"),
    ("http://example.com?@127.0.0.1/", "http://example.com/?@127.0.0.1/"),
]
# Where a Location leads from https://video.example/a/b/c.mp4?x=1; None: nowhere.
RELATIVE = [
    ("d.mp4", "https://video.example/a/b/d.mp4"),
    ("../d.mp4", "https://video.example/a/d.mp4"),
    ("./", "https://video.example/a/b/"),
    ("?y=2", "https://video.example/a/b/c.mp4?y=2"),
    ("#t", "https://video.example/a/b/c.mp4?x=1"),
    ("/d e.mp4", "https://video.example/d%20e.mp4"),
    ("\\d.mp4", "https://video.example/d.mp4"),
    ("//other.example/d.mp4", "https://other.example/d.mp4"),
    ("/\\other.example\\d.mp4", "https://other.example/d.mp4"),
    ("https:d.mp4", "https://video.example/a/b/d.mp4"),
    ("https:/d.mp4", "https://video.example/d.mp4"),
    ("https://other.example", "https://other.example/"),
    ("ftp://other.example/", None),
    ("a:b", None),
    ("//127.0.0.1/", None),
    ("/\t/127.0.0.1/", None),
    ("\\\\localhost\\", None),
    ("https:\\\\10.0.0.1", None),
]
