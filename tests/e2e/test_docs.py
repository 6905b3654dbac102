"""The docs say what is there: generated parts are current, lists are complete, named files exist."""
import json
import re
import subprocess

from support.server import ROOT, binary, rest_text

REFERENCE = re.compile(r"<!-- generated: tidemark check-config --reference -->\n(.*?)<!-- end -->", re.DOTALL)
MAP = re.compile(r"<!-- map of src -->\n(.*?)<!-- end -->", re.DOTALL)
PATH_WITH_FOLDER = re.compile(r"`((?:src|tests|docs|web|examples|script|packaging)/[\w./*-]+)`")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")
TYPE_IN_TABLE = re.compile(r'add\(\{\.type = "(\w+)"')


def pages():
    return sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))


def read(name):
    return (ROOT / name).read_text()


def test_configuration_reference_is_what_the_binary_prints():
    printed = subprocess.run([binary(), "check-config", "--reference"], capture_output=True, text=True, check=True)
    generated = REFERENCE.search(read("docs/operating.md"))
    assert generated, "the markers are gone"
    assert generated[1] == printed.stdout


def test_subcommands_are_documented():
    shown = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  (\S+) {2,}", shown.split("Subcommands:")[1], re.MULTILINE)
    assert "serve" in commands
    page = read("docs/operating.md")
    assert not [command for command in commands if f"tidemark {command}" not in page]


def test_every_command_type_is_in_the_protocol_page():
    types = {name for path in (ROOT / "src").rglob("*.cc") if not path.name.endswith("_test.cc")
             for name in TYPE_IN_TABLE.findall(path.read_text())}
    # Those that the gateway answers itself, without a row in the table.
    types |= {"register", "ping", "ack", "refresh"}
    assert {"message", "watch", "sync"} <= types
    sent = read("docs/protocol.md").split("## 3.")[1].split("## 4.")[0]
    rows = "\n".join(line.split("|")[1] for line in sent.splitlines() if line.startswith("| `"))
    assert not [name for name in sorted(types) if f"`{name}`" not in rows]
    assert not [name for name in re.findall(r"`(\w+)`", rows) if name not in types]


def test_every_call_is_in_the_protocol_page(server):
    described = server.get("/openapi.json").json["paths"]
    assert len(described) > 10
    # A reader finds `PATCH /path` in backquotes; a query or a body may follow.
    page = read("docs/protocol.md").split("## 8.")[1].split("## 9.")[0]
    calls = {(method, path) for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?\s]*)", page)}
    wanted = {(method.upper(), path.removeprefix("/api/v1")) for path, methods in described.items() for method in methods}
    assert calls == wanted


def test_example_frames_are_json():
    page = read("docs/protocol.md")
    frames = [json.loads(line) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)
              for line in block.splitlines()]
    assert len(frames) > 30
    assert all("type" in frame or "code" in frame or set(frame) == {"event", "data"} for frame in frames)


def test_metrics_are_documented(server):
    names = set(re.findall(r"^# TYPE (\S+)", rest_text(server.metrics_port, "/metrics"), re.MULTILINE))
    assert "session_total" in names
    page = read("docs/operating.md")
    assert not [name for name in sorted(names) if not name.startswith("process_") and f"`{name}`" not in page]


def test_map_of_the_sources_is_complete():
    listed = set(re.findall(r"^\| `(src/[\w/]+)` \|", MAP.search(read("ARCHITECTURE.md"))[1], re.MULTILINE))
    there = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "src").rglob("*") if path.is_file()}
    assert listed == there


def test_files_in_the_map_exist():
    for directory, text in re.findall(r"^\| `(src/[\w/]+)` \| (.*) \|$", MAP.search(read("ARCHITECTURE.md"))[1],
                                      re.MULTILINE):
        for name in re.findall(r"`([\w*]+\.(?:h|cc))`", text):
            assert list((ROOT / directory).glob(name)), f"{directory}/{name}"


def test_named_files_exist():
    missing = []
    for page in pages():
        text = page.read_text()
        named = PATH_WITH_FOLDER.findall(text) + re.findall(r"tests/[\w/]+\.(?:py|mjs)", text)
        named += [f"src/{name}" for name in re.findall(r"`((?:gateway|command|conversation|stream|storage|device|http)"
                                                       r"/[\w*]+\.(?:h|cc))`", text)]
        missing += [(page.name, name) for name in named if not list(ROOT.glob(name)) and "tests/FILE" not in name]
        missing += [(page.name, link) for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing


def test_architecture_stays_short():
    assert len(read("ARCHITECTURE.md").splitlines()) <= 160
