"""Texts that could be interpreted on their way: as paths, templates, or control sequences."""

from __future__ import annotations

from itertools import product
from typing import Final

_UP: Final = (
    "../", "..\\", "./../", "....//", "..//", "%2e%2e/", "%2e%2e%2f", "..%2f", "..%5c",
    "%252e%252e%252f", "%c0%ae%c0%ae%c0%af", "..%c0%af", "..%e0%80%af", "..;/", ".%00./",
    "\uff0e\uff0e\uff0f", "\u2025/", "..\u2215", "..\u29f8", "/", "//", "~/", "\\\\?\\",
    "file:///",
)  # fmt: skip
_DEPTHS: Final = (1, 2, 8)
_AT: Final = ("etc/passwd", "a0000002/" + "0" * 64, "secrets/signing", ".", "")
_PLACES: Final = (
    "/proc/self/environ", "/dev/zero", "C:\\Windows\\win.ini", "\\\\host\\share\\x", "CON",
    "NUL.txt", "aux", "con.", "a.", "a ", " a", ".", "..", "...", ".git/config", "-rf", "--help",
    "-", "*", "?", "a/b/../../..", "a/./b", "a//b", "a/", "/a", "%", "%%", "%s%n", "%2", "%zz",
    "%00", "%0a", "&x=1", "#x", "?x=1", ";x", "a=b", "=", "a:b", "@x", "x@y", "|id", "id|", "`id`",
    "$(id)", "$HOME", "a0000001", "a0000002", "pages/a0000002/x/0000", "keys/000000000000",
    "next/a0000002",
)  # fmt: skip
_TEMPLATES: Final = (
    "${attr.unique.hostname}", "${NOMAD_SECRETS_DIR}", "$${x}", "%{ for x in y }%{ endfor }",
    "{{ env `VAULT_TOKEN` }}", "{{ key `a` }}", '{{ with secret "x" }}{{ end }}', "{{7*7}}",
    "${7*7}", "#{7*7}", "<%= 7*7 %>", "{x}", "{0.__class__}", "%(x)s", "<<EOT\nx\nEOT\n",
    'job "x" {', "}} ] }", "'; DROP TABLE entries; --", "' OR '1'='1", '" OR ""="', "1;2",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "]]>",
    "<!--", "&lt;", "\\", "\\\\", "'", '"', '\\"', "\\u0000", "\\x00", '{"a": 1}', "[1]", "null",
    "true", "0", "-1", "1e999", "NaN", "__proto__", "constructor", "__class__", "() { :; }; id",
    "(|(uid=*))", "=cmd|' /C calc'!A0", 'a\r\nX-Evil: 1\r\n\r\n{"level": "error"}', "a\nb", "a\rb",
    "a\tb", "GET / HTTP/1.1\r\n\r\n",
)  # fmt: skip
_UNICODE: Final = (
    "é", "e\u0301", "\ufb01", "ß", "\u0130", "\u212a", "\u1e9e", "a\u202eb", "\u2066x\u2069",
    "a\u200bb", "\ufeffa", "a\u2028b", "a\u2029b", "\U0001f600", "\U000e0041", "\ufffe", "\uffff",
    "\U0010ffff", "\ue000", "\u0000", "a\0b", "\0", "Ω" * 100, "é" * 200, "\u0301" * 50, "\u115f",
    "\u3164", "\u180e",
)  # fmt: skip
_CONTROL: Final = tuple(chr(code) for code in (*range(1, 32), *range(127, 160)))
_LONG: Final = tuple("A" * size for size in (100, 101, 200, 201, 255, 256, 300, 301, 4096, 65_537))

ESCAPES: Final = (
    "\x1b[2J", "\x1b[H", "\x1b[31m", "\x1b[8m", "\x1b[5;5H", "\x1b[1A", "\x1b[2K", "\x1b[6n",
    "\x1b[5n", "\x1b[c", "\x1b[>c", "\x1b[?1049h", "\x1b[?25l", "\x1b[?1000h", "\x1b[?2004h",
    "\x1b[4h", "\x1b[20t", "\x1b[21t", "\x1b[8;1;1t", "\x1b[s", "\x1b[u", "\x1b[!p", "\x1b[1;1r",
    "\x1b[0q", "\x1b[999C", "\x1b]0;title\x07", "\x1b]2;title\x1b\\", "\x1b]4;1;red\x07",
    "\x1b]8;;http://x/\x07y\x1b]8;;\x07", "\x1b]9;note\x07", "\x1b]10;?\x07", "\x1b]50;x\x07",
    "\x1b]52;c;ZXZpbA==\x07", "\x1b]104\x07", "\x1b]777;notify;a;b\x07",
    "\x1b]1337;File=:AA==\x07", "\x1bPq#0\x1b\\", "\x1bP$qm\x1b\\", "\x1bPtmux;\x1b\x1b[31m\x1b\\",
    "\x1b_APC\x1b\\", "\x1b^PM\x1b\\", "\x1bXSOS\x1b\\", "\x1bc", "\x1b7", "\x1b8", "\x1bD",
    "\x1bM", "\x1bE", "\x1b=", "\x1b(0", "\x1b#8", "\x1b%G", "\x1bZ", "\x1b", "\x1b[", "\x1b]",
    "\x9b31m", "\x9b2J", "\x9d0;title\x9c", "\x90q\x9c", "\x9e\x9c", "\x9f\x9c", "\x98\x9c",
    "\x85", "\x84", "\x8d", "\x8e", "\x0e", "\x0f", "\x05", "\x07", "\x08" * 20, "\x0b", "\x0c",
    "\x7f", "harmless\rharmful", "\r\x1b[2K$ ", "\u202egpj.exe", "\u2066x\u2069",
    "\u200e\u200f\u061c", "\u200b", "\ufeff", "\U000e0041",
)  # fmt: skip
"""What a terminal obeys."""

NAMES: Final = tuple(
    dict.fromkeys(
        [
            *(up * depth + at for up, depth, at in product(_UP, _DEPTHS, _AT)),
            *(*_PLACES, *_TEMPLATES, *_UNICODE, *_CONTROL, *_LONG, *ESCAPES),
        ]
    )
)
"""What is sent in place of every name."""
